import { assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { predict } from "shared/contracts/model_serving.ts";
import { AppError } from "shared/errors.ts";
import { eventually } from "shared/testing/poll.ts";
import { storedPredictions } from "shared/testing/predictions.ts";
import { linearModelFile } from "./testing/model_file.ts";
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
