import { MODEL_METADATA, type ReferenceBins, type Signature, type Task } from "shared/contracts/signature.ts";
import { invalid } from "shared/errors.ts";
import type { Node, Tensor } from "shared/onnx/model_proto.ts";
import { encodeModel } from "shared/onnx/writer.ts";

/** The rows a model was trained on. */
export interface TrainingSetReference {
  /** SHA-256 of the training set's file, in hexadecimal. */
  sha256: string;
  /** The feature views behind its columns. */
  views: readonly { name: string; version: number }[];
}

/** What goes into the file beside the graph. */
export interface ModelMetadata {
  signature: Signature;
  trainingSet: TrainingSetReference;
  /** Of each feature, in the order of the inputs, and of the output. */
  referenceBins: readonly ReferenceBins[];
}

/** The estimator: from the value `features` (float32 [rows, inputs]) to `scores` (float32 [rows, 1]). */
export interface Estimator {
  task: Task;
  featureNames: readonly string[];
  nodes: readonly Node[];
  initializers: readonly Tensor[];
}

/** Names of the graph's one input and of the value an estimator's nodes end in. */
export const FEATURES = "features";
export const SCORES = "scores";

const ROWS = "rows";

/** Format and operator sets that runtimes have known since 2022: nothing newer is needed. */
const IR_VERSION = 8;
const OPSETS = { "ai.onnx": 17, "ai.onnx.ml": 3 };

/**
 * The ONNX file of a model: one input `features`, float32 [rows, inputs] in the order of the signature, and one
 * output `probability` or `value`, float32 [rows]. The same model gives the same bytes.
 *
 * @throws {AppError} `invalid` when the signature is not of this model
 */
export function encodeModelFile(estimator: Estimator, metadata: ModelMetadata): Uint8Array<ArrayBuffer> {
  const { signature } = metadata;
  requireMatch(estimator, signature);
  return encodeModel({
    irVersion: IR_VERSION,
    producerName: "microml",
    opsets: OPSETS,
    metadata: {
      [MODEL_METADATA.signature]: JSON.stringify(signature),
      [MODEL_METADATA.trainingSet]: JSON.stringify(metadata.trainingSet),
      [MODEL_METADATA.referenceBins]: JSON.stringify(metadata.referenceBins),
    },
    graph: {
      name: "model",
      nodes: [
        ...estimator.nodes,
        { op: "Reshape", inputs: [SCORES, "one_dimension"], outputs: [signature.output] },
      ],
      initializers: [
        ...estimator.initializers,
        { name: "one_dimension", dims: [1], type: "int64", data: BigInt64Array.of(-1n) },
      ],
      inputs: [{ name: FEATURES, type: "float", dims: [ROWS, signature.inputs.length] }],
      outputs: [{ name: signature.output, type: "float", dims: [ROWS] }],
    },
  });
}

function requireMatch(estimator: Estimator, signature: Signature): void {
  const inputs = signature.inputs.map((input) => input.name);
  if (inputs.join() !== estimator.featureNames.join()) {
    throw invalid(
      `Cannot export the model: the signature has the inputs ${inputs}, the model has learnt ${estimator.featureNames}`,
    );
  }
  if (signature.task !== estimator.task) {
    throw invalid(
      `Cannot export the model: the signature is of a ${signature.task} task, the model of ${estimator.task}`,
    );
  }
  const output = estimator.task === "binary" ? "probability" : "value";
  if (signature.output !== output) {
    throw invalid(
      `Cannot export the model: the signature's output is ${signature.output}, it must be ${output}`,
    );
  }
}
