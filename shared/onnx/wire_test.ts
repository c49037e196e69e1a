import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { readFields, readInt, readText, WireWriter } from "./wire.ts";

Deno.test("WireWriter writes integers that readFields() reads, however many there are", () => {
  const integer = fc.oneof(
    fc.integer(),
    fc.maxSafeInteger(),
    fc.constantFrom(0, -1, 127, 128, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER),
  );
  fc.assert(fc.property(fc.array(integer, { maxLength: 300 }), (values) => {
    const writer = new WireWriter();
    for (const value of values) writer.int(3, value);
    assertEquals([...readFields(writer.finish())].map(readInt), values.map((value) => value + 0));
  }));
});

Deno.test("WireWriter keeps every byte while its buffer grows", () => {
  for (let length = 240; length < 270; length++) {
    const writer = new WireWriter();
    writer.string(1, "a".repeat(length));
    writer.int(2, 300);
    writer.float(3, 0.5);
    writer.packedInts(4, [1, 300]);
    const [text, integer, float, packed] = [...readFields(writer.finish())];
    assertEquals(readText(text!), "a".repeat(length));
    assertEquals(readInt(integer!), 300);
    assertEquals([...float!.bytes], [0, 0, 0, 0x3f]);
    assertEquals([...packed!.bytes], [1, 0xac, 2]);
  }
});

Deno.test("WireWriter.packedFloats() writes little-endian float32", () => {
  const writer = new WireWriter();
  writer.packedFloats(7, [1, -2.5]);
  assertEquals([...writer.finish()], [0x3a, 8, 0, 0, 0x80, 0x3f, 0, 0, 0x20, 0xc0]);
});
