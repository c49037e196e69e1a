import { assert, assertAlmostEquals, assertEquals, assertNotEquals } from "@std/assert";
import { getCard, type ModelDetail, putModel } from "shared/contracts/model_training.ts";
import type { TrainingSetTable } from "shared/training_set_table.ts";
import { chooseThreshold } from "./choose_threshold.ts";
import { HORIZON_WEEKS, observe } from "./testing/observations.ts";
import { model, put, reorder, type Stand, startStand, train, WEEKS } from "./testing/stand.ts";

const TEST_WEEKS = 3;
const COSTS = { falsePositive: 1, falseNegative: 4 };

/** The same history with another outcome of the rows that are judged. */
function withOtherTest(table: TrainingSetTable): TrainingSetTable {
  const testFrom = table.times.at(-1)! - (HORIZON_WEEKS + TEST_WEEKS - 1) * 7 * 86_400_000;
  return {
    ...table,
    labels: table.labels.map((label, row) => table.times[row]! >= testFrom ? 1 - label : label),
  };
}

async function decisionOf({ service }: Stand): Promise<
  Pick<ModelDetail, "confusion"> & {
    decision: NonNullable<ModelDetail["decision"]>;
  }
> {
  const { curves } = await service.call(getCard, { model, version: await train(service) });
  return { confusion: curves!.confusion, decision: curves!.decision! };
}

for (const [chosenOn, more] of [["validation", { validation: "P21D" }], ["folds", {}]] as const) {
  Deno.test(`the threshold is chosen on ${chosenOn}, and judged on the test part`, async () => {
    await using stand = await startStand();
    await stand.service.call(
      putModel,
      put(reorder({ split: { test: `P${7 * TEST_WEEKS}D`, ...more }, costs: COSTS })),
    );
    const own = await decisionOf(stand);
    stand.features.table = withOtherTest(observe({ weeks: WEEKS }));
    const other = await decisionOf(stand);
    assertEquals([own.decision.chosenOn, other.decision.chosenOn], [chosenOn, chosenOn]);
    assertEquals(own.decision.threshold, other.decision.threshold);
    assert(
      own.decision.threshold > 0 && own.decision.threshold < 0.5,
      "a miss costs more than a false alarm",
    );
    assertNotEquals(own.decision.cost, other.decision.cost);
    for (const { decision, confusion } of [own, other]) {
      const [right, alarms, missed, found] = confusion.flat() as [number, number, number, number];
      const rows = right + alarms + missed + found;
      assertEquals(rows, TEST_WEEKS * 60);
      assertAlmostEquals(decision.cost, (alarms + 4 * missed) / rows, 1e-12);
      assertAlmostEquals(decision.recall, found / (found + missed), 1e-12);
    }
  });
}

Deno.test("chooseThreshold() goes by the costs alone where no rows of both classes are there", () => {
  const byCosts = { threshold: 0.2, chosenOn: "costs" };
  assertEquals<unknown>(chooseThreshold(COSTS, undefined), byCosts);
  const one = { labels: Float64Array.of(0, 0), answers: Float64Array.of(0.1, 0.9) };
  assertEquals<unknown>(chooseThreshold(COSTS, one), byCosts);
  const both = { labels: Float64Array.of(0, 1), answers: Float64Array.of(0.1, 0.9) };
  assertEquals<unknown>(chooseThreshold(COSTS, both), { threshold: 0.5, chosenOn: "validation" });
});
