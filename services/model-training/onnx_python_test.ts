/**
 * The exported files in Python's onnxruntime, after the ONNX checker. Where `MICROML_PEERS` has the group `trainers`
 * (bench/peers), Python answers; and everywhere the files must be those that it has once accepted: their hashes stand in
 * `testing/golden_files.json`, written anew by MICROML_GOLDEN=write where Python is there.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { assert, assertEquals } from "@std/assert";
import type { Task } from "shared/contracts/signature.ts";
import { modelBatch } from "./domain/dataset.ts";
import { TRAINERS } from "./domain/trainers/registry.ts";
import { metadataFor, mixedDataset } from "./testing/datasets.ts";

const GOLDEN = new URL("testing/golden_files.json", import.meta.url);
const SCRIPT = new URL("testing/answer_with_python.py", import.meta.url);
const ROWS = 200;

const peers = Deno.env.get("MICROML_PEERS");
const python = peers === undefined ? undefined : `${peers}/trainers/bin/python`;

async function exported(algorithm: string, task: Task) {
  const trainer = TRAINERS.get(algorithm)!;
  const train = mixedDataset(task, { rows: 1_500, seed: 1 });
  const parameters = algorithm === "gbdt"
    ? { rounds: 15, monotone: {} }
    : algorithm === "random_forest"
    ? { trees: 5 }
    : {};
  const model = await trainer.fit(train, { task, parameters, seed: 1 });
  const heldOut = mixedDataset(task, { rows: ROWS, seed: 2 });
  return { file: model.toOnnx(metadataFor(train, task)), heldOut, answers: model.predict(heldOut) };
}

const cases = [...TRAINERS.values()].flatMap(({ algorithm, tasks }) =>
  tasks.map((task) => ({ algorithm, task }))
);

Deno.test("toOnnx() gives the files that Python has accepted, byte for byte", async () => {
  const hashes: Record<string, string> = {};
  for (const { algorithm, task } of cases) {
    const { file } = await exported(algorithm, task);
    hashes[`${algorithm} ${task}`] = createHash("sha256").update(file).digest("hex");
  }
  if (Deno.env.get("MICROML_GOLDEN") === "write") {
    await Deno.writeTextFile(GOLDEN, `${JSON.stringify(hashes, null, 2)}\n`);
  }
  assertEquals(hashes, JSON.parse(await Deno.readTextFile(GOLDEN)));
});

Deno.test({
  name: "toOnnx() gives files that the ONNX checker accepts and Python answers with (needs MICROML_PEERS)",
  ignore: python === undefined,
  async fn() {
    const folder = await Deno.makeTempDir();
    try {
      const expected = new Map<string, Float64Array>();
      for (const [index, { algorithm, task }] of cases.entries()) {
        const { file, heldOut, answers } = await exported(algorithm, task);
        const own = `${folder}/${index}`;
        await Deno.mkdir(own);
        await Deno.writeFile(`${own}/model.onnx`, file);
        const { numbers, categories } = modelBatch(heldOut, 0, ROWS);
        const inRows = <Cell>(cells: ArrayLike<Cell>) => {
          const width = cells.length / ROWS;
          return Array.from(
            { length: ROWS },
            (_, row) => Array.from({ length: width }, (_, i) => cells[row * width + i]),
          );
        };
        // JSON writes NaN as null.
        await Deno.writeTextFile(
          `${own}/rows.json`,
          JSON.stringify({ features: inRows(numbers), categories: inRows(categories) }),
        );
        expected.set(own, answers);
      }
      const { success, stderr } = await new Deno.Command(python!, {
        args: [SCRIPT.pathname, ...expected.keys()],
      })
        .output();
      assert(success, new TextDecoder().decode(stderr));
      for (const [own, answers] of expected) {
        const found = JSON.parse(await Deno.readTextFile(`${own}/answers.json`)) as number[];
        assertEquals(found.length, answers.length);
        found.forEach((value, index) => {
          const answer = answers[index]!;
          assert(
            Math.abs(value - answer) <= 1e-5 * Math.max(1, Math.abs(answer)),
            `${own}: ${value}, ${answer}`,
          );
        });
      }
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
