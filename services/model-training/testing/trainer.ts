/** A trainer outside the service, as the tests need it: it learns a mean a feature, and answers as it is told. @module */
import type { Bus } from "shared/bus/connection.ts";
import type { z } from "zod";
import {
  type TrainerJob,
  trainerJobSchema,
  type trainerMessageSchema,
} from "shared/contracts/model_training.ts";
import { subject } from "shared/contracts/streams.ts";
import { delay } from "shared/delay.ts";
import { isInfrastructureError } from "shared/infrastructure_error.ts";
import { encodeModel } from "shared/onnx/writer.ts";
import { readTrainingSet } from "shared/training_set_file.ts";

export interface TestTrainer extends AsyncDisposable {
  readonly jobs: TrainerJob[];
}

/** What a trainer says, as it is said. */
export type TrainerMessage = z.input<typeof trainerMessageSchema>;

/** What a trainer does with a job; what it resolves with is its last word, which it repeats until it is acknowledged. */
export type TrainerWork = (
  job: TrainerJob,
  say: (message: TrainerMessage) => void,
) => Promise<TrainerMessage | "silence">;

export function startTestTrainer(bus: Bus, algorithm: string, work: TrainerWork): TestTrainer {
  const jobs: TrainerJob[] = [];
  const ended = new AbortController();
  const insist = async (reply: string, said: TrainerMessage) => {
    while (!ended.signal.aborted) {
      try {
        await bus.nc.request(reply, JSON.stringify(said), { timeout: 1_000 });
        return;
      } catch (error) {
        if (!isInfrastructureError(error)) throw error;
        await delay(100, ended.signal);
      }
    }
  };
  const subscription = bus.nc.subscribe(subject.trainer(algorithm), {
    queue: algorithm,
    callback: (error, message) => {
      if (error !== null) throw error;
      const job = trainerJobSchema.parse(message.json());
      jobs.push(job);
      const say = (said: TrainerMessage) => {
        message.respond(JSON.stringify(said));
      };
      void work(job, say).then((last) => last === "silence" ? undefined : insist(message.reply!, last));
    },
  });
  return {
    jobs,
    [Symbol.asyncDispose]() {
      ended.abort();
      subscription.unsubscribe();
      return Promise.resolve();
    },
  };
}

/**
 * Learns one weight a feature by the difference of the class means, and gives a classifier with the inputs and outputs
 * that scikit-learn's exports have: `float_input`, a label, and the probabilities of both classes.
 */
export async function learnMeans(bus: Bus, job: TrainerJob): Promise<string> {
  const { features, labels } = await readTrainingSet(await bus.files.get(job.trainingSet));
  const meanOf = (values: Float64Array, own: number) => {
    const kept = values.filter((value, row) => labels[row] === own && !Number.isNaN(value));
    return kept.reduce((sum, value) => sum + value, 0) / kept.length;
  };
  const weights = features.map(({ values }) => meanOf(values, 1) - meanOf(values, 0));
  return await bus.files.put(linearClassifier(weights));
}

/** Logistic of the weighted sum, missing values imputed by 0. */
export function linearClassifier(weights: readonly number[]): Uint8Array {
  return encodeModel({
    irVersion: 8,
    producerName: "a trainer of the tests",
    opsets: { "ai.onnx": 17, "ai.onnx.ml": 3 },
    metadata: {},
    graph: {
      name: "classifier",
      nodes: [
        {
          op: "Imputer",
          domain: "ai.onnx.ml",
          inputs: ["float_input"],
          outputs: ["imputed"],
          attributes: { imputed_value_floats: { floats: [0] }, replaced_value_float: { float: NaN } },
        },
        {
          op: "LinearClassifier",
          domain: "ai.onnx.ml",
          inputs: ["imputed"],
          outputs: ["label", "probabilities"],
          attributes: {
            classlabels_ints: { ints: [0, 1] },
            coefficients: { floats: [...weights.map((weight) => -weight), ...weights] },
            intercepts: { floats: [0, 0] },
            post_transform: { string: "SOFTMAX" },
          },
        },
      ],
      initializers: [],
      inputs: [{ name: "float_input", type: "float", dims: ["rows", weights.length] }],
      outputs: [
        { name: "label", type: "int64", dims: ["rows"] },
        { name: "probabilities", type: "float", dims: ["rows", 2] },
      ],
    },
  });
}
