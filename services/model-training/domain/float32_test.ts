import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { floorToFloat32, MAX_FLOAT32 } from "./float32.ts";

Deno.test("floorToFloat32() gives the largest float32 that is not above the value", () => {
  const value = fc.double({ min: -MAX_FLOAT32, max: MAX_FLOAT32, noNaN: true });
  fc.assert(fc.property(fc.oneof(value, fc.double({ min: -1, max: 1, noNaN: true })), (x) => {
    const floor = floorToFloat32(x);
    assertEquals(Math.fround(floor), floor);
    assert(floor <= x, `${floor} > ${x}`);
    const bits = new Int32Array(Float32Array.of(floor === 0 ? 0 : floor).buffer);
    bits[0] = floor >= 0 ? bits[0]! + 1 : bits[0]! - 1;
    const next = new Float32Array(bits.buffer)[0]!;
    assert(next > x, `${next} <= ${x}`);
  }));
});

Deno.test("floorToFloat32() knows the edges of its range", () => {
  assertEquals(floorToFloat32(-1e-60), -(2 ** -149));
  assertEquals(floorToFloat32(1e-60), 0);
  assertEquals(floorToFloat32(MAX_FLOAT32), MAX_FLOAT32);
  assertEquals(floorToFloat32(0.5), 0.5);
});
