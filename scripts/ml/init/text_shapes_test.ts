import { assertEquals } from "@std/assert";
import { TextShapes } from "./text_shapes.ts";

function patternOf(...texts: string[]): string | undefined {
  const shapes = new TextShapes();
  for (const text of texts) shapes.add(text);
  return shapes.pattern();
}

Deno.test("TextShapes gives a pattern that all codes match", () => {
  const cases = [
    { texts: ["536365", "C536379"], pattern: "^([0-9]{6}|[A-Z][0-9]{6})$" },
    { texts: ["1.2.3", "10.20.30"], pattern: "^[0-9]{1,2}[.][0-9]{1,2}[.][0-9]{1,2}$" },
    { texts: ["a-7", "bcd-123"], pattern: "^[a-z]{1,3}-[0-9]{1,3}$" },
    {
      texts: ["72d76fde-8bb3-4e00-8c23-a032dfed738c"],
      pattern: "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
    },
  ];
  for (const { texts, pattern } of cases) {
    assertEquals(patternOf(...texts), pattern);
    for (const text of texts) assertEquals(new RegExp(pattern).test(text), true);
  }
});

Deno.test("TextShapes gives none for words, long texts, or codes of many forms", () => {
  assertEquals(patternOf("samsung", "apple"), undefined);
  assertEquals(patternOf("7", "two words"), undefined);
  assertEquals(patternOf("7".repeat(41)), undefined);
  assertEquals(patternOf("1", "a1", "A1", "1a"), undefined);
  assertEquals(patternOf(), undefined);
});
