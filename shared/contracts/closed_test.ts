import { assertEquals, assertThrows } from "@std/assert";
import { z } from "zod";
import { reasonsOf } from "../validation.ts";
import { closed } from "./closed.ts";

const rangeSchema = z.object({ from: z.int(), to: z.int().optional() });
const schema = closed(
  z.object({
    asKnown: z.enum(["then", "now"]).default("then"),
    waitFor: z.object({ position: z.int(), timeoutMs: z.int().default(1) }).optional(),
    spine: z.union([z.array(rangeSchema), z.object({ every: z.string() })]).nullable().prefault(null),
    values: z.record(z.string(), rangeSchema).default({}),
    context: z.looseObject({ a: z.int() }).optional(),
  }).refine(({ asKnown }) => asKnown !== "now", { message: "must be then", path: ["asKnown"] }),
);

const reasons = (value: unknown) => reasonsOf(schema.safeParse(value).error!);

Deno.test("closed() names a field that is unknown, what was meant, and what is taken", () => {
  assertEquals(reasons({ asknown: "now" }), [{
    path: "/asknown",
    message: "is unknown (did you mean asKnown?): it must be one of asKnown, waitFor, spine, values, context",
  }]);
  assertEquals(reasons({ colour: 1 }), [{
    path: "/colour",
    message: "is unknown: it must be one of asKnown, waitFor, spine, values, context",
  }]);
  assertEquals(reasonsOf(closed(z.object({})).safeParse({ x: 1 }).error!), [{
    path: "/x",
    message: "is unknown: there are none",
  }]);
});

Deno.test("closed() holds at every depth, beside other mistakes", () => {
  const paths = (value: unknown) => reasons(value).map(({ path }) => path);
  assertEquals(paths({ waitFor: { postion: 1 } }), ["/waitFor/position", "/waitFor/postion"]);
  assertEquals(paths({ spine: [{ from: 1 }, { from: 1, until: 2 }] }), ["/spine/1/until"]);
  assertEquals(paths({ spine: { every: "x", form: 1 } }), ["/spine/form"]);
  assertEquals(paths({ values: { anything: { from: 1, ot: 2 } } }), ["/values/anything/ot"]);
});

Deno.test("closed() keeps defaults and rules, and leaves records and loose objects open", () => {
  assertEquals(
    schema.parse({ waitFor: { position: 1 }, values: { x: { from: 1 } }, context: { a: 1, b: 2 } }),
    {
      asKnown: "then",
      waitFor: { position: 1, timeoutMs: 1 },
      spine: null,
      values: { x: { from: 1 } },
      context: { a: 1, b: 2 },
    },
  );
  assertEquals(reasons({ asKnown: "now" }), [{ path: "/asKnown", message: "must be then" }]);
});

Deno.test("closed() closes a part of a closed schema with the fields of that part", () => {
  const part = closed(closed(z.object({ a: z.int(), b: z.int() })).omit({ b: true }));
  assertEquals(reasonsOf(part.safeParse({ a: 1, b: 2 }).error!), [{
    path: "/b",
    message: "is unknown: it must be one of a",
  }]);
});

Deno.test("closed() refuses a schema that it can't look into", () => {
  assertThrows(() => closed(z.object({ late: z.lazy(() => z.object({})) })), TypeError, "of type lazy");
});
