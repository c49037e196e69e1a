/** model-serving in a process of its own, with models in it. @module */
import { bucketPut } from "shared/bus/bucket.ts";
import type { Bus } from "shared/bus/connection.ts";
import { call } from "shared/bus/endpoints.ts";
import { publishAll } from "shared/bus/publisher.ts";
import type { PlatformEvent } from "shared/contracts/envelope.ts";
import { type PredictionBlock, putDeployment } from "shared/contracts/model_serving.ts";
import type { Signature } from "shared/contracts/signature.ts";
import { BUCKET, STREAM } from "shared/contracts/streams.ts";
import { delay } from "shared/delay.ts";
import { type BenchStack, startBenchStack } from "../bench_stack.ts";
import { signature as forestSignature } from "./forest.ts";

export interface ServingStack extends AsyncDisposable {
  readonly bench: BenchStack;
  readonly url: string;
  /** Deploys a model, or points its champion to another version; resolves when that one answers. */
  serve(model: string, version: number, file: Uint8Array, signature?: Signature): Promise<void>;
  /** Records in PREDICTIONS, once no more of them come. */
  logged(): Promise<number>;
  emptyLog(): Promise<void>;
}

export interface ServingStackOptions {
  say: (line: string) => void;
  /** Default: model-serving alone. */
  services?: readonly string[];
  /** Of model-serving, behind one port. Default 1. */
  copies?: number;
}

export async function startServingStack(
  { say, services = ["model-serving"], copies = 1 }: ServingStackOptions,
): Promise<ServingStack> {
  const bench = await startBenchStack(services, { say, copies: { "model-serving": copies } });
  const { bus, stack } = bench;
  const url = stack.services.get("model-serving")!.url;
  const deployed = new Set<string>();
  const stream = STREAM.predictions.name;
  return {
    bench,
    url,
    async serve(model, version, file, signature = forestSignature) {
      if (!deployed.has(model)) {
        await call(bus, putDeployment, { project: "bench", name: model, body: {} });
        deployed.add(model);
      }
      const sha256 = await bus.files.put(file);
      await pointChampion(bus, { model, version, sha256, signature });
      for (;;) {
        const response = await fetch(`${url}/v2/models/${model}/versions/${version}/ready`);
        await response.body?.cancel();
        if (response.ok) return;
        await delay(10);
      }
    },
    async logged() {
      for (let before = -1;;) {
        const { state } = await bus.jsm.streams.info(stream);
        if (state.last_seq === before) break;
        before = state.last_seq;
        await delay(1_000);
      }
      return await countRecords();
    },
    async emptyLog() {
      await bus.jsm.streams.purge(stream);
    },
    [Symbol.asyncDispose]: () => bench[Symbol.asyncDispose](),
  };

  /** By the records themselves, and not by what their writer says of them. */
  async function countRecords(): Promise<number> {
    const consumer = await bus.js.consumers.get(stream, {});
    let { num_pending: left } = await consumer.info();
    let records = 0;
    while (left > 0) {
      const messages = await consumer.fetch({ max_messages: Math.min(left, 1_000), expires: 5_000 });
      for await (const message of messages) {
        left--;
        const blocks = message.json<PlatformEvent<PredictionBlock>[]>();
        records += blocks.flatMap(({ data }) => data.calls).reduce((sum, { ids }) => sum + ids.length, 0);
      }
    }
    return records;
  }
}

/** Points a model's champion to a version whose file is stored, as model-training does. */
export async function pointChampion(
  bus: Bus,
  named: { model: string; version: number; sha256: string; signature: Signature },
): Promise<void> {
  const { model, version } = named;
  const entry = { ...named, alias: "champion", revision: version, project: "bench" };
  await publishAll(bus, [bucketPut(BUCKET.aliases, `${model}.champion`, entry, `alias/${model}/${version}`)]);
}
