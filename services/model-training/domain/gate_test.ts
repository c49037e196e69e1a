import { assertEquals, assertThrows } from "@std/assert";
import type { Gate } from "shared/contracts/model_training.ts";
import { AppError } from "shared/errors.ts";
import { decideGate } from "./gate.ts";

const gate: Gate = { minAbsoluteGain: 0, minRelativeGain: 0, minBaselineGain: 0, minRows: 4 };
const labels = Float64Array.of(1, 2, 3, 4);
const off = (by: number) => labels.map((label) => label + by);
const answers = (outputs: Float64Array, own = labels) => ({ labels: own, outputs });
const rmse = (candidate: Float64Array, champion: Float64Array | null, baseline = off(4)) =>
  ({
    metric: "rmse",
    candidate: answers(candidate),
    champion: champion && answers(champion),
    baseline: answers(baseline),
  }) as const;

Deno.test("decideGate() passes a better candidate and says by how much", () => {
  assertEquals(decideGate(gate, rmse(off(0.5), off(-2))), {
    passed: true,
    rows: 4,
    candidateValue: 0.5,
    championValue: 2,
    baselineValue: 4,
    gain: 1.5,
    slices: [],
    reasons: ["The candidate's rmse is 0.5, the baseline's 4, the champion's 2: better by 1.5 on 4 rows"],
  });
});

Deno.test("decideGate() knows that a higher AUC is better", () => {
  const binary = Float64Array.of(0, 0, 1, 1);
  const right = Float64Array.of(0.1, 0.2, 0.3, 0.4);
  const wrong = Float64Array.of(0.2, 0.3, 0.4, 0.1);
  const baseline = new Float64Array(4).fill(0.4);
  const decide = (candidate: Float64Array, champion: Float64Array) =>
    decideGate(gate, {
      metric: "auc",
      candidate: answers(candidate, binary),
      champion: answers(champion, binary),
      baseline: answers(baseline, binary),
    });
  assertEquals([decide(right, wrong).passed, decide(right, wrong).gain], [true, 0.5]);
  assertEquals([decide(wrong, right).passed, decide(wrong, right).gain], [false, -0.5]);
  assertEquals(decide(right, wrong).baselineValue, 0.5);
});

Deno.test("decideGate() keeps a worse and an equal candidate out", () => {
  const worse = decideGate(gate, rmse(off(2), off(0.5)));
  assertEquals([worse.passed, worse.gain], [false, -1.5]);
  assertEquals(worse.reasons, ["The candidate's rmse is worse than the champion's 0.5 by 1.5"]);
  const equal = decideGate(gate, rmse(off(1), off(-1)));
  assertEquals([equal.passed, equal.reasons], [false, ["The candidate's rmse equals the champion's, 1"]]);
});

Deno.test("decideGate() demands both minimum gains and names each that is missed", () => {
  const demanding = { ...gate, minAbsoluteGain: 0.6, minRelativeGain: 0.3 };
  assertEquals(decideGate(demanding, rmse(off(1.5), off(2))).reasons, [
    "The gain in rmse over the champion is 0.5, the gate demands at least 0.6",
    "The gain in rmse over the champion is 0.5, the gate demands at least 0.6: 0.3 of 2",
  ]);
  assertEquals(decideGate({ ...demanding, minAbsoluteGain: 0.5 }, rmse(off(1.5), off(2))).reasons.length, 1);
  assertEquals(decideGate(demanding, rmse(off(1), off(2))).passed, true);
});

Deno.test("decideGate() keeps out a candidate that beats the champion and not the baseline", () => {
  const worse = decideGate(gate, rmse(off(2), off(3), off(1)));
  assertEquals([worse.passed, worse.gain], [false, 1]);
  assertEquals(worse.reasons, ["The candidate's rmse is worse than the baseline's 1 by 1"]);
  const demanding = { ...gate, minBaselineGain: 0.5 };
  assertEquals(decideGate(demanding, rmse(off(2.5), off(3))).reasons, [
    "The gain in rmse over the baseline is 1.5, the gate demands at least 2: 0.5 of 4",
  ]);
  assertEquals(decideGate(demanding, rmse(off(2), off(3))).passed, true);
});

Deno.test("decideGate() does not decide on too few rows", () => {
  assertEquals(decideGate({ ...gate, minRows: 5 }, rmse(off(0), off(2))), {
    passed: false,
    rows: 4,
    candidateValue: null,
    championValue: null,
    baselineValue: null,
    gain: null,
    slices: [],
    reasons: ["The comparison has 4 rows, the gate demands at least 5"],
  });
});

Deno.test("decideGate() passes the first candidate when it beats the baseline", () => {
  assertEquals(decideGate({ ...gate, minBaselineGain: 0.5 }, rmse(off(2), null)), {
    passed: true,
    rows: 4,
    candidateValue: 2,
    championValue: null,
    baselineValue: 4,
    gain: null,
    slices: [],
    reasons: ["The candidate's rmse is 2, the baseline's 4 on 4 rows: there is no champion to compare with"],
  });
});

Deno.test("decideGate() keeps out a first candidate that has learnt nothing, or that too few rows speak for", () => {
  const idle = decideGate({ ...gate, minBaselineGain: 0.02 }, rmse(off(3.95), null));
  assertEquals([idle.passed, idle.candidateValue, idle.baselineValue], [false, 3.95, 4]);
  assertEquals(idle.reasons, [
    "The gain in rmse over the baseline is 0.05, the gate demands at least 0.08: 0.02 of 4",
  ]);
  const untried = decideGate({ ...gate, minRows: 5 }, rmse(off(0), null));
  assertEquals(untried.reasons, ["The comparison has 4 rows, the gate demands at least 5"]);
});

Deno.test("decideGate() refuses outputs that are no numbers", () => {
  assertThrows(
    () => decideGate(gate, rmse(labels.with(1, NaN), off(1))),
    AppError,
    "the output is NaN in row 1",
  );
});

Deno.test("decideGate() holds the candidate to a threshold, whichever way is better", () => {
  const strict = { ...gate, threshold: 0.4 };
  assertEquals(decideGate(strict, rmse(off(0.5), off(2))).reasons, [
    "The candidate's rmse is 0.5, the gate demands at most 0.4",
  ]);
  assertEquals(decideGate(strict, rmse(off(0.4), null)).passed, true);
  const r2 = { ...rmse(off(0.5), null), metric: "r2" as const };
  assertEquals(decideGate({ ...gate, threshold: 0.9 }, r2).passed, false);
});

Deno.test("decideGate() keeps out a candidate that is much worse on one slice", () => {
  // Better on the whole, worse where the feature is above 1; the row without a value is a slice of its own.
  const candidate = Float64Array.of(1, 2, 3.5, 4.5);
  const champion = Float64Array.of(3, 4, 3, 4);
  const bins = { name: "v.f", edges: [1], counts: [1, 2], missing: 1 };
  const sliced = [{ values: Float64Array.of(1, NaN, 2, 2), bins }];
  const input = { ...rmse(candidate, champion), sliced };
  const slices = (maxLoss: number, minRows = 1) => ({
    ...gate,
    slices: { features: ["v.f"], maxLoss, minRows },
  });
  const decision = decideGate(slices(0.2), input);
  assertEquals(decision.passed, false);
  assertEquals(decision.reasons, [
    "The candidate's rmse is worse by 0.5 on the 2 rows where v.f is above 1: the gate allows at most 0.2",
  ]);
  assertEquals(decision.slices.map(({ above, upTo, rows, gain }) => [above, upTo, rows, gain]), [
    [1, null, 2, -0.5],
    [null, 1, 1, 2],
    [null, null, 1, 2],
  ]);
  assertEquals(decideGate(slices(0.5), input).passed, true);
  assertEquals(decideGate(slices(0.2, 3), input).slices, [], "slices of too few rows are passed over");
});

Deno.test("decideGate() compares versions that know other classes, each by its own numbers", () => {
  // The third class came up after the champion was trained; it is wrong on its rows, whatever it says.
  const candidate = {
    labels: Float64Array.of(0, 1, 2, 2),
    outputs: Float64Array.of(0.8, 0.1, 0.1, 0.1, 0.8, 0.1, 0.1, 0.1, 0.8, 0.1, 0.1, 0.8),
  };
  const champion = {
    labels: Float64Array.of(1, 0, 2, 2),
    outputs: Float64Array.of(0.1, 0.9, 0.9, 0.1, 0.9, 0.1, 0.1, 0.9),
  };
  const baseline = { labels: candidate.labels, outputs: new Float64Array(12).fill(1 / 3) };
  const decision = decideGate(gate, { metric: "accuracy", candidate, champion, baseline });
  assertEquals([decision.candidateValue, decision.championValue, decision.baselineValue], [1, 0.5, 0.25]);
});

Deno.test("decideGate() names the slices of a category by their texts", () => {
  const bins = { name: "v.country", edges: [0, 1], counts: [2, 1, 1], missing: 1, categories: ["de", "fr"] };
  const sliced = [{ values: Float64Array.of(1, 0, 2, NaN), bins }];
  const input = { ...rmse(Float64Array.of(1.1, 2.9, 3.1, 4.1), off(0.5)), sliced };
  const decision = decideGate(
    { ...gate, slices: { features: ["v.country"], maxLoss: 0.3, minRows: 1 } },
    input,
  );
  assertEquals(decision.reasons, [
    'The candidate\'s rmse is worse by 0.4 on the 1 rows where v.country is "de": the gate allows at most 0.3',
  ]);
  assertEquals(
    decision.slices.map(({ text, above, upTo }) => [text, above, upTo]).toSorted(),
    [
      ["", null, null],
      [null, null, null],
      ["de", null, null],
      ["fr", null, null],
    ].toSorted(),
  );
});
