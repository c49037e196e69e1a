import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import type { MonitorBody } from "shared/contracts/model_monitoring.ts";
import type { ReferenceBins } from "shared/contracts/signature.ts";
import { countIntoBins, judgeWindow, populationStabilityIndex, windowOf } from "./domain.ts";

const spend: ReferenceBins = { name: "orders.spend", edges: [10, 20], counts: [50, 30, 20], missing: 0 };
const output: ReferenceBins = { name: "output", edges: [0.5], counts: [60, 40], missing: 0 };

const prediction = (value: number | null, score: number | null = 0.4) => ({
  at: "2011-05-02T00:00:00.000Z",
  output: score,
  probabilities: null,
  features: { "orders.spend": value },
});

const monitor: MonitorBody = {
  kind: "drift",
  model: "reorder",
  statistic: "psi",
  threshold: 0.25,
  minFeatures: 1,
  window: "P7D",
  minRows: 10,
};

Deno.test("countIntoBins() puts a value on an edge into the bin below it, and what is no number with the missing", () => {
  const values = [
    prediction(10),
    prediction(10.5),
    prediction(20),
    prediction(1e9),
    prediction(null),
    prediction(-5),
  ];
  assertEquals(countIntoBins([spend], values).get("orders.spend"), [2, 2, 1, 1]);
});

Deno.test("countIntoBins() counts the output beside the features", () => {
  const counts = countIntoBins([spend, output], [
    prediction(1, 0.2),
    prediction(1, 0.9),
    prediction(1, null),
  ]);
  assertEquals(counts.get("output"), [1, 1, 1]);
});

const channel: ReferenceBins = {
  name: "output",
  edges: [0, 1],
  counts: [60, 40, 0],
  missing: 0,
  categories: ["app", "web"],
};
const web: ReferenceBins = { name: "output/web", edges: [0.5], counts: [60, 40], missing: 0, class: "web" };
const app: ReferenceBins = { ...web, name: "output/app", class: "app" };

Deno.test("countIntoBins() counts of several classes the likeliest, and the probability of each", () => {
  const answer = (output: number, share: number) => ({
    ...prediction(1, output),
    probabilities: { app: 1 - share, web: share },
  });
  const counts = countIntoBins([channel, web, app], [
    answer(0, 0.1),
    answer(1, 0.7),
    answer(1, 0.9),
    prediction(1, null),
  ]);
  assertEquals(counts.get("output"), [1, 2, 0, 1]);
  assertEquals(counts.get("output/web"), [1, 2, 1]);
  assertEquals(counts.get("output/app"), [2, 1, 1]);
});

Deno.test("judgeWindow() counts the output once, however many classes of it drift", () => {
  const counts = new Map([["output", [0, 100, 0, 0]], ["output/web", [0, 100, 0]], ["output/app", [
    100,
    0,
    0,
  ]]]);
  const judge = (minFeatures: number) =>
    judgeWindow({ ...monitor, minFeatures }, [channel, web, app], { rows: 100, counts });
  assertEquals(judge(1).status, "breach");
  assertEquals(judge(1).features.filter(({ psi }) => psi > 0.25).length, 3);
  assertEquals(judge(2).status, "ok");
});

Deno.test("populationStabilityIndex() is zero for equal shares and as computed by hand otherwise", () => {
  assertEquals(populationStabilityIndex([50, 30, 20], [500, 300, 200]), 0);
  const byHand = (0.3 - 0.5) * Math.log(0.3 / 0.5) + (0.3 - 0.3) + (0.4 - 0.2) * Math.log(0.4 / 0.2);
  assertAlmostEquals(populationStabilityIndex([50, 30, 20], [30, 30, 40]), byHand, 1e-12);
});

Deno.test("populationStabilityIndex() stays finite when a bin is empty", () => {
  const psi = populationStabilityIndex([50, 50, 0], [0, 50, 50]);
  assert(Number.isFinite(psi) && psi > 1);
});

Deno.test("windowOf() gives weeks that begin on Monday", () => {
  assertEquals(windowOf(monitor, "2011-05-04T12:00:00.000Z"), {
    startsAt: "2011-05-02T00:00:00.000Z",
    endsAt: "2011-05-09T00:00:00.000Z",
  });
  assertEquals(windowOf(monitor, "2011-05-09T00:00:00.000Z").startsAt, "2011-05-09T00:00:00.000Z");
});

Deno.test("judgeWindow() does not judge a window with fewer rows than the monitor wants", () => {
  const window = { rows: 9, counts: new Map([["orders.spend", [0, 0, 9, 0]]]) };
  assertEquals(judgeWindow(monitor, [spend], window), { status: "too_few_rows", features: [] });
});

Deno.test("judgeWindow() is in breach when enough features drift, and names the worst first", () => {
  const counts = new Map([["orders.spend", [0, 10, 90, 0]], ["output", [60, 40, 0]]]);
  const judged = judgeWindow(monitor, [output, spend], { rows: 100, counts });
  assertEquals(judged.status, "breach");
  assertEquals(judged.features.map(({ name }) => name), ["orders.spend", "output"]);
  assertEquals(
    judgeWindow({ ...monitor, minFeatures: 2 }, [output, spend], { rows: 100, counts }).status,
    "ok",
  );
});

Deno.test("judgeWindow() sees a feature that stopped coming as drift", () => {
  const judged = judgeWindow(monitor, [spend], {
    rows: 100,
    counts: new Map([["orders.spend", [25, 15, 10, 50]]]),
  });
  assertEquals(judged.status, "breach");
  assertEquals(judged.features[0]?.missingShare, 0.5);
});

Deno.test("countIntoBins() counts texts by name, others together and missing ones apart", () => {
  const reference = {
    name: "v.country",
    edges: [0, 1],
    counts: [5, 3, 1],
    missing: 1,
    categories: ["de", "fr"],
  };
  const predictions = ["fr", "de", "fr", "it", null, ""].map((country) => (
    { at: "2026-01-05T00:00:00.000Z", output: 0, probabilities: null, features: { "v.country": country } }
  ));
  assertEquals(countIntoBins([reference], predictions).get("v.country"), [1, 2, 1, 2]);
});
