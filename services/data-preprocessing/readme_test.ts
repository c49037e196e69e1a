import { assert, assertEquals } from "@std/assert";
import { parse } from "yaml";
import {
  type CleaningBody,
  cleaningBodySchema,
  expectationSchema,
  stepSchema,
} from "shared/contracts/cleaning.ts";
import { createPrivacy } from "shared/privacy.ts";
import { compileCleaning } from "./domain/cleaning.ts";

const readme = await Deno.readTextFile(new URL("./README.md", import.meta.url));
const privacy = createPrivacy("a key for tests, of 32 characters");

/** The examples of a kind. What they are written in is YAML, too. */
const examples = (kind: "step" | "expect") =>
  [...readme.matchAll(new RegExp(`^\\| \`(\\{ ${kind}: .*?\\})\` +\\|`, "gm"))].map(([, text]) =>
    parse(text!)
  );

const steps: CleaningBody["steps"] = examples("step");
const expectations: CleaningBody["expectations"] = examples("expect");

Deno.test("the README has an example of each step and of each expectation", () => {
  assertEquals(
    steps.map(({ step }) => step).sort(),
    stepSchema.options.map(({ shape }) => shape.step.value).sort(),
  );
  assertEquals(
    expectations.map(({ expect }) => expect).sort(),
    expectationSchema.options.map(({ shape }) => shape.expect.value).sort(),
  );
});

Deno.test("the examples of the README can be used", () => {
  for (const step of steps) compileCleaning(cleaningBodySchema.parse({ steps: [step] }), { privacy });
  assert(compileCleaning(cleaningBodySchema.parse({ expectations }), { privacy }).clean !== undefined);
});
