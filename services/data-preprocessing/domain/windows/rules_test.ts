import { assertEquals } from "@std/assert";
import { cleaningBodySchema } from "shared/contracts/cleaning.ts";
import { createRecordStatistics } from "shared/statistics/record_statistics.ts";
import type { z } from "zod";
import { compileWindowRules, DEFAULT_RULES, type WindowFacts } from "./rules.ts";

const HOUR_MS = 3_600_000;

const rulesOf = (body: z.input<typeof cleaningBodySchema>) =>
  compileWindowRules(cleaningBodySchema.parse(body));

function verdict(expression: string, facts: WindowFacts): string | undefined {
  const { windows: [rule] } = rulesOf({
    expectations: [{ expect: "window", window: "P1D", expression, message: "wrong", action: "warn" }],
  });
  return rule!.judge(facts);
}

const FACTS: WindowFacts = (() => {
  const statistics = createRecordStatistics();
  for (const amount of [1, 2, 3, null]) statistics.add({ amount, country: "EIRE" });
  return { records: 4, fields: statistics.summary() };
})();

Deno.test("compileWindowRules() keeps each length once, and values only where something looks at them", () => {
  assertEquals(DEFAULT_RULES.lengths, [{ ms: 24 * HOUR_MS, statistics: true }]);
  const { lengths } = rulesOf({
    profile: { window: "PT6H" },
    expectations: [
      { expect: "volume", window: "PT1H", min: 1, action: "warn" },
      { expect: "volume", window: "PT2H", min: 1, action: "warn" },
      { expect: "window", window: "PT2H", expression: "true", message: "m", action: "warn" },
      { expect: "volume", window: "PT6H", min: 1, action: "warn" },
    ],
  });
  assertEquals(lengths, [
    { ms: HOUR_MS, statistics: false },
    { ms: 2 * HOUR_MS, statistics: true },
    { ms: 6 * HOUR_MS, statistics: true },
  ]);
});

Deno.test("compileWindowRules() gives expressions the window by measure and field", () => {
  for (
    const expression of [
      "w.count == 4",
      "w.nulls.amount == 1 && w.nulls.country == 0",
      "w.distinct.amount == 3",
      "w.min.amount == 1 && w.max.amount == 3 && w.mean.amount == 2 && w.deviation.amount == 1",
      "w.p50.amount > 1.97 && w.p50.amount < 2.03",
      "double(w.nulls.amount) / w.count < 0.5",
    ]
  ) assertEquals(verdict(expression, FACTS), undefined, expression);
  assertEquals(verdict("w.mean.amount > 2", FACTS), "wrong");
  // Nothing is said about what is not there.
  assertEquals(verdict("w.mean.country > 2", FACTS), undefined);
  assertEquals(verdict("w.count / 0 > 1", FACTS), undefined);
  assertEquals(verdict('w.count > "many"', FACTS)?.startsWith("wrong: Cannot evaluate the expression"), true);
});

Deno.test("compileWindowRules() names an expectation the same when only its action changes", () => {
  const key = (action: "warn" | "block", min: number) =>
    rulesOf({ expectations: [{ expect: "volume", window: "P1D", min, action }] }).windows[0]!.key;
  assertEquals(key("warn", 1), key("block", 1));
  assertEquals(key("warn", 1) === key("warn", 2), false);
});
