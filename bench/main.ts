/**
 * `deno task bench [NAME ...]`: measures one benchmark, some, or all. Each ends with a table for people and a line of
 * JSON for programs.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { changes } from "./changes.ts";
import { clean } from "./clean.ts";
import { type Bench, machine, table } from "./harness.ts";
import { ingest } from "./ingest.ts";
import { linear } from "./linear.ts";
import { load } from "./load.ts";
import { online } from "./online.ts";
import { predict } from "./predict.ts";
import { onnxPaths } from "./onnx_paths.ts";
import { predictBatch } from "./predict_batch.ts";
import { servingMemory } from "./serving_memory.ts";
import { predictFeatures } from "./predict_features.ts";
import { quality } from "./quality.ts";
import { trainingApi } from "./training_api.ts";
import { longTrainingSet, trainingSet } from "./training_set.ts";
import { trees } from "./trees.ts";
import { update } from "./update.ts";

const BENCHES: readonly Bench[] = [
  ingest,
  clean,
  load,
  update,
  online,
  trainingSet,
  longTrainingSet,
  quality,
  trees,
  linear,
  trainingApi,
  predict,
  predictBatch,
  onnxPaths,
  servingMemory,
  changes,
  predictFeatures,
];

const USAGE = `Usage: deno task bench [NAME ...] [--rounds N] [--scale X]

${BENCHES.map(({ name, summary }) => `  ${name.padEnd(16)} ${summary}`).join("\n")}

  --rounds N   rounds after the warm-up (default 3)
  --scale X    of the usual size, for a quick look (default 1)`;

const print = (text: string) => Deno.stdout.writeSync(new TextEncoder().encode(`${text}\n`));

async function main(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      rounds: { type: "string", default: "3" },
      scale: { type: "string", default: "1" },
      help: { type: "boolean", default: false },
    },
  });
  const rounds = Number(values.rounds);
  const scale = Number(values.scale);
  const unknown = positionals.filter((name) => !BENCHES.some((bench) => bench.name === name));
  if (values.help || unknown.length > 0 || !Number.isInteger(rounds) || rounds < 1 || !(scale > 0)) {
    print(unknown.length > 0 ? `There is no benchmark "${unknown[0]}"\n\n${USAGE}` : USAGE);
    return values.help ? 0 : 2;
  }
  const chosen = BENCHES.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
  for (const { name, run } of chosen) {
    const result = await run({ rounds, scale, say: (line) => print(`${name}: ${line}`) });
    print(table(name, result));
    const { ratios, figures } = result;
    print(JSON.stringify({ name, ratios, figures, machine: machine() }));
  }
  return 0;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
