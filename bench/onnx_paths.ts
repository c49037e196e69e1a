/**
 * `onnx-paths`: what models cost that no walker takes, by ONNX Runtime's public API and by its synchronous path, in a
 * thread that can be ended: the run alone, and with the message to the thread and back.
 *
 * @module
 */
import { encodeModel } from "shared/onnx/writer.ts";
import type { ModelBatch } from "shared/onnx/model_batch.ts";
import { seededRandom } from "../services/model-serving/testing/random_forest.ts";
import { type Bench, type BenchOptions, type BenchResult, inTurn } from "./harness.ts";
import type { PathReply, PathRequest } from "./serving/onnx_path_worker.ts";

const MS = 1_000;
const WIDTH = 20;
const ROWS = [1, 32, 1_024];
/** Widths of the layers. */
const MODELS = { linear: [WIDTH, 1], mlp: [WIDTH, 64, 64, 1] };
const PATHS = ["public", "synchronous"] as const;

export const onnxPaths: Bench = {
  name: "onnx-paths",
  summary: "linear models and nets by ONNX Runtime's public API, beside its synchronous path",
  run,
};

async function run({ rounds, scale, say }: BenchOptions): Promise<BenchResult> {
  const ms = MS * scale;
  const turns: Record<string, () => Promise<Record<string, number>>> = {};
  await using started = new AsyncDisposableStack();
  for (const [name, widths] of Object.entries(MODELS)) {
    const answers: Float32Array[] = [];
    for (const path of PATHS) {
      const thread = new Thread();
      started.defer(() => thread.end());
      const shape = { numbers: WIDTH, categories: 0, outputs: 1 };
      await thread.tell({ do: "load", path, file: netFile(widths), shape });
      answers.push(await thread.run(batchOf(32)));
      for (const rows of ROWS) {
        const batch = batchOf(rows);
        turns[`${name}_${path}_${rows}`] = async () => ({
          us: (await thread.tell({ do: "time", batch, ms }) as { us: number }).us,
          message_us: await roundTrip(thread, batch, ms),
        });
      }
    }
    if (answers[0]!.join() !== answers[1]!.join()) throw new Error(`The paths answer ${name} differently`);
  }
  const results = await inTurn(turns, { rounds, say });
  const ratios: Record<string, number> = {};
  const figures: Record<string, number> = {};
  for (const [name, { us, message_us: messageUs }] of Object.entries(results)) {
    figures[`${name}_us`] = us!;
    figures[`${name}_message_us`] = messageUs!;
    const other = results[name.replace("public", "synchronous")]!;
    if (!name.includes("public")) continue;
    ratios[name.replace("public_", "")] = other["us"]! / us!;
    ratios[`${name.replace("public_", "")}_message`] = other["message_us"]! / messageUs!;
  }
  return {
    ratios,
    figures,
    notes: ["by model, path and rows of a run; message: with the message to the thread and the one back"],
  };
}

/** A thread that is told one thing at a time. */
class Thread {
  readonly #worker = new Worker(new URL("serving/onnx_path_worker.ts", import.meta.url), { type: "module" });

  tell(request: PathRequest): Promise<PathReply> {
    const { promise, resolve, reject } = Promise.withResolvers<PathReply>();
    this.#worker.onmessage = ({ data }: MessageEvent<PathReply>) => resolve(data);
    this.#worker.onerror = (event) => {
      event.preventDefault();
      reject(new Error(event.message));
    };
    this.#worker.postMessage(request);
    return promise;
  }

  async run(batch: ModelBatch): Promise<Float32Array> {
    return (await this.tell({ do: "run", batch }) as { outputs: Float32Array }).outputs;
  }

  end(): void {
    this.#worker.terminate();
  }
}

async function roundTrip(thread: Thread, batch: ModelBatch, ms: number): Promise<number> {
  let runs = 0;
  const startedAt = performance.now();
  for (; performance.now() - startedAt < ms; runs++) await thread.run(batch);
  return (performance.now() - startedAt) / runs * 1_000;
}

function batchOf(rows: number): ModelBatch {
  const random = seededRandom(rows);
  return { rows, numbers: Float32Array.from({ length: rows * WIDTH }, random), categories: [] };
}

/** Layers with a ReLU between them; one layer is a linear model. */
function netFile(widths: readonly number[]): Uint8Array {
  const random = seededRandom(7);
  const layers = widths.slice(1).map((to, index) => ({ from: widths[index]!, to, index }));
  const last = layers.length - 1;
  return encodeModel({
    irVersion: 8,
    producerName: "bench",
    opsets: { "ai.onnx": 17 },
    metadata: {},
    graph: {
      name: "net",
      nodes: [
        ...layers.flatMap(({ index }) => [
          {
            op: "MatMul",
            inputs: [index === 0 ? "features" : `active${index - 1}`, `weights${index}`],
            outputs: [`layer${index}`],
          },
          ...(index === last ? [] : [{ op: "Relu", inputs: [`layer${index}`], outputs: [`active${index}`] }]),
        ]),
        { op: "Reshape", inputs: [`layer${last}`, "flat"], outputs: ["value"] },
      ],
      initializers: [
        ...layers.map(({ from, to, index }) => ({
          name: `weights${index}`,
          type: "float" as const,
          dims: [from, to],
          data: Float32Array.from({ length: from * to }, () => random() - 0.5),
        })),
        { name: "flat", type: "int64", dims: [1], data: BigInt64Array.of(-1n) },
      ],
      inputs: [{ name: "features", type: "float", dims: ["rows", widths[0]!] }],
      outputs: [{ name: "value", type: "float", dims: ["rows"] }],
    },
  });
}
