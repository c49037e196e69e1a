import {
  type GoldenRows,
  MODEL_METADATA,
  MODEL_TENSORS,
  OUTPUT_OF_TASK,
  type ReferenceBins,
  type Signature,
  type Task,
} from "shared/contracts/signature.ts";
import { invalid } from "shared/errors.ts";
import { shapeOf } from "shared/onnx/model_batch.ts";
import type { Node, Tensor } from "shared/onnx/model_proto.ts";
import { encodeModel } from "shared/onnx/writer.ts";
import { otherCode, type Vocabularies } from "./encoding.ts";

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
  /** Absent where no held-out rows are there to be recorded. */
  goldenRows?: GoldenRows;
}

/** What stands behind the encoding: from the value `columns` (float32 [rows, inputs]) to `scores`. */
export interface Estimator {
  task: Task;
  featureNames: readonly string[];
  vocabularies: Vocabularies;
  nodes: readonly Node[];
  initializers: readonly Tensor[];
  /** Of trees: see `MODEL_METADATA.treeShares`. */
  treeShares?: readonly number[];
}

/**
 * The value an estimator's nodes begin with: every input as a number, in the order of the signature; of a category its
 * code (see {@link Vocabularies}). And the value they end in: float32 [rows, outputs].
 */
export const COLUMNS = "columns";
export const SCORES = "scores";

const ROWS = "rows";

/** Trees that ask for a set of categories need `TreeEnsemble` of ai.onnx.ml 5 (ONNX 1.16, 2024); nothing newer is used. */
const IR_VERSION = 10;
const OPSETS = { "ai.onnx": 17, "ai.onnx.ml": 5 };

/**
 * The ONNX file of a model, from raw features to the answer; its inputs and its output are those that
 * `signatureSchema` describes. The same model gives the same bytes.
 *
 * @throws {AppError} `invalid` when the signature is not of this model
 */
export function encodeModelFile(estimator: Estimator, metadata: ModelMetadata): Uint8Array<ArrayBuffer> {
  const { signature } = metadata;
  requireMatch(estimator, signature);
  const { numbers, categories, outputs } = shapeOf(signature);
  const encoding = encodingNodes(estimator.vocabularies);
  const isWide = signature.output === "probabilities";
  return encodeModel({
    irVersion: IR_VERSION,
    producerName: "microml",
    opsets: OPSETS,
    metadata: {
      [MODEL_METADATA.signature]: JSON.stringify(signature),
      [MODEL_METADATA.trainingSet]: JSON.stringify(metadata.trainingSet),
      [MODEL_METADATA.referenceBins]: JSON.stringify(metadata.referenceBins),
      ...(metadata.goldenRows ? { [MODEL_METADATA.goldenRows]: JSON.stringify(metadata.goldenRows) } : {}),
      ...(estimator.treeShares ? { [MODEL_METADATA.treeShares]: JSON.stringify(estimator.treeShares) } : {}),
    },
    graph: {
      name: "model",
      nodes: [
        ...encoding.nodes,
        ...estimator.nodes,
        isWide
          ? { op: "Identity", inputs: [SCORES], outputs: [signature.output] }
          : { op: "Reshape", inputs: [SCORES, "one_dimension"], outputs: [signature.output] },
      ],
      initializers: [
        ...encoding.initializers,
        ...estimator.initializers,
        ...(isWide ? [] : [int64("one_dimension", -1)]),
      ],
      inputs: [
        ...(numbers > 0
          ? [{ name: MODEL_TENSORS.numbers, type: "float" as const, dims: [ROWS, numbers] }]
          : []),
        ...(categories > 0
          ? [{ name: MODEL_TENSORS.categories, type: "string" as const, dims: [ROWS, categories] }]
          : []),
      ],
      outputs: [{ name: signature.output, type: "float", dims: isWide ? [ROWS, outputs] : [ROWS] }],
    },
  });
}

/**
 * From the graph's inputs to `columns`. Texts become their codes by a table each, and numbers and codes are brought into
 * the order of the signature.
 */
function encodingNodes(vocabularies: Vocabularies): Pick<Estimator, "nodes" | "initializers"> {
  if (vocabularies.every((vocabulary) => vocabulary === null)) {
    return {
      nodes: [{ op: "Identity", inputs: [MODEL_TENSORS.numbers], outputs: [COLUMNS] }],
      initializers: [],
    };
  }
  const nodes: Node[] = [];
  const initializers: Tensor[] = [];
  const parts: string[] = [];
  let numbers = 0;
  let categories = 0;
  vocabularies.forEach((vocabulary, input) => {
    const isNumber = vocabulary === null;
    const at = `place_${input}`;
    const part = `input_${input}`;
    initializers.push(int64(at, isNumber ? numbers++ : categories++));
    parts.push(part);
    const take = (from: string, output: string): Node => ({
      op: "Gather",
      inputs: [from, at],
      outputs: [output],
      attributes: { axis: { int: 1 } },
    });
    if (isNumber) {
      nodes.push(take(MODEL_TENSORS.numbers, part));
      return;
    }
    nodes.push(take(MODEL_TENSORS.categories, `text_${input}`), {
      op: "LabelEncoder",
      domain: "ai.onnx.ml",
      inputs: [`text_${input}`],
      outputs: [part],
      attributes: {
        "keys_strings": { strings: ["", ...vocabulary] },
        "values_floats": { floats: ["", ...vocabulary].map((_, code) => code) },
        "default_float": { float: otherCode(vocabulary) },
      },
    });
  });
  nodes.push({ op: "Concat", inputs: parts, outputs: [COLUMNS], attributes: { axis: { int: 1 } } });
  return { nodes, initializers };
}

const int64 = (name: string, value: number): Tensor => ({
  name,
  dims: [1],
  type: "int64",
  data: BigInt64Array.of(BigInt(value)),
});

function requireMatch(estimator: Estimator, signature: Signature): void {
  const inputs = signature.inputs.map((input) => input.name);
  if (inputs.join() !== estimator.featureNames.join()) {
    throw invalid(
      `Cannot export the model: the signature has the inputs ${inputs}, the model has learnt ${estimator.featureNames}`,
    );
  }
  const vocabularies = signature.inputs.map((input) => input.type === "category" ? input.vocabulary : null);
  if (JSON.stringify(vocabularies) !== JSON.stringify(estimator.vocabularies)) {
    throw invalid(
      "Cannot export the model: the types and vocabularies of the signature's inputs are not those it has learnt",
    );
  }
  if (signature.task !== estimator.task) {
    throw invalid(
      `Cannot export the model: the signature is of a ${signature.task} task, the model of ${estimator.task}`,
    );
  }
  const output = OUTPUT_OF_TASK[estimator.task];
  if (signature.output !== output) {
    throw invalid(
      `Cannot export the model: the signature's output is ${signature.output}, it must be ${output}`,
    );
  }
}
