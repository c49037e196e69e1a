import { setImmediate } from "node:timers";
import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { predict } from "shared/contracts/model_serving.ts";
import { AppError } from "shared/errors.ts";
import { eventually } from "shared/testing/poll.ts";
import { storedPredictions } from "shared/testing/predictions.ts";
import { createExplain } from "./explain.ts";
import type { ServedVersion } from "./runtime/admission.ts";
import { linearModelFile, signature } from "./testing/model_file.ts";
import { deploy, MODEL, pointAlias, row, startServing } from "./testing/serving.ts";

const explained = {
  base: 0,
  contributions: { "orders.count": 3, "orders.spend": 20 },
  unit: "value" as const,
};

Deno.test("explain counts on the version that answers alone: another in memory need not be explainable", async () => {
  await using service = await startServing({ weights: [1, 0] });
  await pointAlias(service.bus, "challenger", 2, linearModelFile([1, 10]));
  await deploy(service, {
    arms: { control: { alias: "champion", weight: 0.5 }, canary: { alias: "challenger", weight: 0.5 } },
    sticky: { by: "key" },
  });
  const ask = (key: number, explain: boolean) =>
    service.call(predict, { model: MODEL, rows: [row(3, 2)], key: String(key), explain });
  const keyOf = async (arm: string) => {
    for (let key = 0; key < 100; key++) if ((await ask(key, false)).arm === arm) return key;
    throw new Error(`no key of ${arm}`);
  };
  const { predictions: [answer] } = await ask(await eventually(() => keyOf("canary")), true);
  assertEquals(answer!.explanation, explained);
  const error = await assertRejects(async () => await ask(await keyOf("control"), true), AppError);
  assertEquals(error.code, "unprocessable");
  await eventually(async () => {
    const events = await storedPredictions(service.bus);
    const refused = events.filter(({ data }) => data.code === "unprocessable").map(({ data }) => data);
    assertEquals(refused.map(({ version, features }) => [version, features]), [[1, row(3, 2)]]);
  });
});

Deno.test("explaining many rows lets other calls have their turn", async () => {
  const explain = createExplain(() => Promise.resolve(linearModelFile([1, 10])));
  const rows = 100_000;
  const checked = {
    rows,
    numbers: new Float32Array(rows * 2).fill(2),
    categories: [],
    given: [],
    marks: new Map(),
  };
  const served = { entry: { sha256: "" }, signature } as ServedVersion;
  let turns = 0;
  let isOver = false;
  const count = () => {
    turns++;
    if (!isOver) setImmediate(count);
  };
  setImmediate(count);
  const explanations = await explain({ served, checked, outputs: new Float32Array(rows) });
  isOver = true;
  assertEquals([explanations.length, explanations.at(-1)!.contributions], [rows, {
    "orders.count": 2,
    "orders.spend": 20,
  }]);
  // The first turn is that in which the file is read.
  assert(turns > 2, `there were ${turns} turns`);
});

Deno.test("lines say each whether they are to be explained, and those that can't be say why", async () => {
  await using service = await startServing();
  const post = async (lines: unknown[]) => {
    const response = await fetch(`${service.url}/v1/models/${MODEL}/predict`, {
      method: "POST",
      headers: { "content-type": "application/x-ndjson" },
      body: lines.map((line) => JSON.stringify(line)).join("\n"),
    });
    return (await response.text()).trim().split("\n").map((line) => JSON.parse(line));
  };
  const lines = [{ row: row(3, 2) }, { row: row(3, 2), explain: true }, { row: row(4, 2), explain: false }];
  const [plain, refused, other] = await post(lines);
  assertEquals([plain.output, refused.error.code, other.output], [3, "unprocessable", 4]);

  await pointAlias(service.bus, "champion", 2, linearModelFile([1, 10]));
  await eventually(async () => {
    const answers = await post(lines);
    assertEquals(answers.map(({ explanation }) => explanation), [undefined, explained, undefined]);
    assertAlmostEquals(answers[1].output, 23);
  });
});
