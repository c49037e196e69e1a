import { assertEquals } from "@std/assert";
import { describeDifference } from "./dump_schemas.ts";

Deno.test("describeDifference() says nothing of equal texts", () => {
  assertEquals(describeDifference("a\nb\n", "a\nb\n"), "");
});

Deno.test("describeDifference() shows what stands and what should stand", () => {
  assertEquals(describeDifference("a\nold\nc\n", "a\nnew\nc\nd\n"), "- old\n+ new\n+ d");
});
