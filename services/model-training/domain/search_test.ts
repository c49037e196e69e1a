import { assert, assertEquals, assertGreaterOrEqual, assertRejects } from "@std/assert";
import { type Parameters, searchSchema, type Trial } from "shared/contracts/model_training.ts";
import { AppError, invalid } from "shared/errors.ts";
import { searchParameters } from "./search.ts";

const space = { rate: { min: 0.001, max: 1, scale: "log" }, leaves: { min: 2, max: 64, integer: true } };

interface Tried {
  parameters: Parameters;
  share: number;
}

/** Best at a rate of 0.1; what has seen few rows is judged worse. */
async function search(
  options: Record<string, unknown>,
  judge: (parameters: Parameters, share: number) => number = ({ rate }, share) =>
    Math.abs(Math.log10(rate as number) + 1) + (1 - share),
) {
  const tried: Tried[] = [];
  const told: Trial[] = [];
  let clock = 0;
  const found = await searchParameters(searchSchema.parse({ space, ...options }), {
    declared: { rate: 1, leaves: 31 },
    better: "lower",
    rows: 900,
    seed: 3,
    judge(parameters, share) {
      tried.push({ parameters, share });
      clock += 1_000;
      return Promise.resolve(judge(parameters, share));
    },
    onTrial: (trial) => told.push(trial),
    now: () => clock,
  });
  assertEquals(told, found.trials);
  return { ...found, tried };
}

Deno.test("searchParameters() draws within the space at random, and takes the best", async () => {
  const { parameters, trials, tried } = await search({ budget: { trials: 20 } });
  assertEquals(trials.length, 20);
  assertEquals(trials[0]!.parameters, { rate: 1, leaves: 31 }, "what the model declares is tried as well");
  for (const { parameters: { rate, leaves }, share } of tried.slice(1)) {
    assert((rate as number) >= 0.001 && (rate as number) <= 1);
    assert(Number.isInteger(leaves) && (leaves as number) >= 2 && (leaves as number) <= 64);
    assertEquals(share, 1);
  }
  const best = Math.min(...trials.map(({ value }) => value!));
  assertEquals(trials.find(({ value }) => value === best)!.parameters, parameters);
  assertEquals((await search({ budget: { trials: 20 } })).trials, trials, "the seed says which");
  const small = tried.filter(({ parameters: { rate } }) => (rate as number) < 0.03).length;
  assertGreaterOrEqual(small, 5, "a log scale draws orders of magnitude alike");
});

Deno.test("searchParameters() halves: the best third of each rung goes on with three times the rows", async () => {
  const { parameters, trials, tried } = await search({ method: "halving", budget: { trials: 9 } });
  assertEquals(tried.map(({ share }) => share), [...Array(9).fill(1 / 9), ...Array(3).fill(1 / 3), 1]);
  assertEquals(trials.map(({ rows }) => rows).slice(8, 10), [100, 300]);
  const third = trials.slice(0, 9).toSorted((a, b) => a.value! - b.value!).slice(0, 3);
  assertEquals(
    trials.slice(9, 12).map(({ parameters }) => parameters),
    third.map(({ parameters }) => parameters),
  );
  assertEquals(trials.at(-1)!.parameters, parameters);
});

Deno.test("searchParameters() keeps to its time, and goes on after draws that can't be learnt with", async () => {
  const { trials } = await search({ budget: { trials: 20, time: "PT3S" } });
  assertEquals(trials.length, 3);
  const odd = await search({ budget: { trials: 4 } }, ({ rate }) => {
    if (rate === 1) throw invalid("too fast");
    return 1;
  });
  assertEquals([odd.trials[0]!.value, odd.trials[0]!.error], [null, "too fast"]);
  assertEquals(odd.parameters, odd.trials[1]!.parameters);
  await assertRejects(
    () =>
      search({ budget: { trials: 2 } }, () => {
        throw invalid("nothing to learn");
      }),
    AppError,
    "none of 2 trials: nothing to learn",
  );
});
