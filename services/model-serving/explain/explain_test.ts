import { setImmediate } from "node:timers";
import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { predict } from "shared/contracts/model_serving.ts";
import { AppError } from "shared/errors.ts";
import { eventually } from "shared/testing/poll.ts";
import { storedPredictions } from "shared/testing/predictions.ts";
import { createExplain, type Explaining } from "./explain.ts";
import type { ServedVersion } from "../runtime/admission.ts";
import { linearModelFile, signature, sumModelFile } from "../testing/model_file.ts";
import { deploy, MODEL, pointAlias, row, startServing } from "../testing/serving.ts";

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

/** Explanations whose thread ends with the test. */
function startExplaining(...of: Parameters<typeof createExplain>): Explaining & AsyncDisposable {
  const explaining = createExplain(...of);
  return { ...explaining, [Symbol.asyncDispose]: () => explaining.stop() };
}

/** A version of one answer a row, and so many of its rows. */
function answersOf(sha256: string, rows: number): Parameters<Explaining["explain"]>[0] {
  return {
    served: { entry: { sha256 }, signature, model: { outputWidth: 1 } } as ServedVersion,
    checked: {
      rows,
      numbers: new Float32Array(rows * 2).fill(2),
      categories: [],
      given: [],
      marks: new Map(),
    },
    outputs: new Float32Array(rows),
  };
}

Deno.test("explaining many rows lets other calls have their turn", async () => {
  await using explaining = startExplaining(() => Promise.resolve(linearModelFile([1, 10])));
  const rows = 10_000;
  let turns = 0;
  let isOver = false;
  const count = () => {
    turns++;
    if (!isOver) setImmediate(count);
  };
  setImmediate(count);
  const explanations = await explaining.explain(answersOf("linear", rows), Infinity);
  isOver = true;
  assertEquals([explanations.length, explanations.at(-1)!.contributions], [rows, {
    "orders.count": 2,
    "orders.spend": 20,
  }]);
  assert(turns > 100, `there were ${turns} turns`);
});

Deno.test("explanations are late at their deadline, and end with their thread when they take too long", async () => {
  const file = () => Promise.resolve(linearModelFile([1, 10]));
  await using patient = startExplaining(file);
  const late = await assertRejects(
    () => patient.explain(answersOf("a", 1), performance.now() - 1),
    AppError,
  );
  assertEquals(late.code, "timeout");
  assertEquals((await patient.explain(answersOf("a", 2), performance.now() + 60_000)).length, 2);

  // Less than a thread takes to begin.
  await using hasty = startExplaining(file, { runMs: 0 });
  const ended = await assertRejects(() => hasty.explain(answersOf("a", 1), Infinity), AppError);
  assertEquals([ended.code, ended.message], [
    "timeout",
    "Cannot explain the answer: it took more than 0 ms",
  ]);
});

Deno.test("a file is read once while its thread lives, and one that can't be explained keeps no other from it", async () => {
  const reads: string[] = [];
  const files: Readonly<Record<string, Uint8Array<ArrayBuffer>>> = {
    linear: linearModelFile([1, 10]),
    sum: sumModelFile([1, 10]),
  };
  await using explaining = startExplaining((sha256) => {
    reads.push(sha256);
    return Promise.resolve(files[sha256] ?? files["linear"]!);
  });
  const ask = async (sha256: string) => (await explaining.explain(answersOf(sha256, 1), Infinity)).length;
  assertEquals([await ask("linear"), await ask("linear")], [1, 1]);
  const refused = await assertRejects(() => ask("sum"), AppError);
  assertEquals(refused.code, "unprocessable");
  assertEquals(await ask("linear"), 1);
  assertEquals(reads, ["linear", "sum"]);
  // From the ninth version on another thread goes on.
  const others = Array.from({ length: 8 }, (_, index) => `version ${index}`);
  for (const other of others) await ask(other);
  assertEquals(await ask("linear"), 1);
  assertEquals(reads, ["linear", "sum", ...others, "linear"]);
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
