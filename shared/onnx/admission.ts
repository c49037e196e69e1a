/** Which ONNX files are let near a runtime, decided without running them. @module */
import { AppError, type Reason } from "../errors.ts";
import { type ReadGraph, readGraph } from "./graph_reader.ts";
import { type ModelSummary, readModel } from "./reader.ts";
import { isTreeEnsemble, readTrees } from "./trees.ts";

/**
 * Operators whose work and memory grow with their inputs and constants alone. Loops and branches are left out, because
 * a file can loop for ever with them; and so is whatever makes a tensor of a size that a number says (ConstantOfShape,
 * Expand, Tile, Range, Pad, Resize, OneHot): a few bytes would take gigabytes, which WASM never gives back. What the
 * operators that are left make of small constants (a column times a row) is bounded by the memory of the runtime.
 */
export const ALLOWED_OPERATORS: Readonly<Record<string, ReadonlySet<string>>> = {
  "ai.onnx": new Set(
    ("Abs Add And ArgMax ArgMin BatchNormalization Cast CastLike Ceil Clip Concat Constant Div Dropout Elu Equal " +
      "Erf Exp Flatten Floor Gather GatherElements Gelu Gemm Greater GreaterOrEqual HardSigmoid HardSwish Identity " +
      "IsInf IsNaN LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax LpNormalization MatMul Max Mean Min " +
      "Mod Mul Neg Not Or PRelu Pow Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean " +
      "ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Reshape Round Selu Shape Sigmoid Sign Size Slice Softmax " +
      "Softplus Softsign Split Sqrt Squeeze StringNormalizer Sub Sum Tanh TfIdfVectorizer ThresholdedRelu TopK " +
      "Transpose Unsqueeze Where Xor").split(" "),
  ),
  "ai.onnx.ml": new Set(
    ("ArrayFeatureExtractor Binarizer CategoryMapper FeatureVectorizer Imputer LabelEncoder LinearClassifier " +
      "LinearRegressor Normalizer OneHotEncoder SVMClassifier SVMRegressor Scaler TreeEnsemble " +
      "TreeEnsembleClassifier TreeEnsembleRegressor").split(" "),
  ),
};

/** Most bytes of a file, unless other limits are said. */
export const MAX_MODEL_BYTES = 256 * 1024 * 1024;

export interface AdmissionLimits {
  /** Most bytes of a file; default: {@link MAX_MODEL_BYTES}. */
  maxBytes?: number;
}

/** What an admitted file says of itself, and its graph: to read that takes seconds where there are many trees. */
export interface AdmittedModel {
  readonly summary: ModelSummary;
  readonly graph: ReadGraph;
}

/** The versions that the runtime was tried with, both ends included. */
const IR_VERSIONS = { least: 3, most: 13 };
const OPSET_VERSIONS: Readonly<Record<string, { least: number; most: number }>> = {
  "ai.onnx": { least: 6, most: 26 },
  "ai.onnx.ml": { least: 1, most: 5 },
};

/**
 * Reads a file and says whether it may be loaded.
 *
 * @throws {AppError} `unprocessable`, with every reason; `invalid` when it is no ONNX file; `too_large`
 */
export function admitModelFile(file: Uint8Array, limits: AdmissionLimits = {}): AdmittedModel {
  const { maxBytes = MAX_MODEL_BYTES } = limits;
  const summary = readModel(file, { maxBytes });
  const reasons: Reason[] = [...formatReasons(summary), ...operatorReasons(summary)];
  if (reasons.length === 0) {
    const graph = readGraph(file);
    reasons.push(...treeReasons(graph, summary));
    if (reasons.length === 0) return { summary, graph };
  }
  const [first] = reasons;
  throw new AppError(
    "unprocessable",
    `Cannot admit the model: ${
      reasons.length === 1 ? `${first!.path} ${first!.message}` : `${reasons.length} things are not accepted`
    }`,
    { reasons },
  );
}

function formatReasons({ irVersion, opsets, externalData, functions, inputs }: ModelSummary): Reason[] {
  const reasons: Reason[] = [];
  const { least, most } = IR_VERSIONS;
  if (irVersion < least || irVersion > most) {
    reasons.push({ path: "/ir_version", message: `is ${irVersion}, must be ${least} to ${most}` });
  }
  for (const [domain, version] of Object.entries(opsets)) {
    const bounds = OPSET_VERSIONS[domain];
    // A domain that is declared and not used does no harm: its operators are looked at below.
    if (bounds === undefined || (version >= bounds.least && version <= bounds.most)) continue;
    reasons.push({
      path: `/opset_import/${domain}`,
      message: `is ${version}, must be ${bounds.least} to ${bounds.most}`,
    });
  }
  if (externalData) reasons.push({ path: "/graph", message: "has constants in another file" });
  if (functions > 0) reasons.push({ path: "/functions", message: "are not accepted" });
  for (const { name, type } of inputs) {
    if (type === "other") {
      reasons.push({ path: `/graph/input/${name}`, message: "is no tensor of a known type" });
    }
  }
  return reasons;
}

const operatorReasons = ({ operators }: ModelSummary): Reason[] =>
  operators.filter(({ domain, op }) => !ALLOWED_OPERATORS[domain]?.has(op)).map(({ domain, op }) => ({
    path: `/graph/node/${domain}/${op}`,
    message: "is not one of the operators that are accepted",
  }));

/**
 * The runtime walks trees as they are: one with a cycle would never come to a leaf, and a feature beyond the row would
 * be read from whatever lies behind it.
 */
function treeReasons({ nodes }: ReadGraph, { inputs }: ModelSummary): Reason[] {
  const widths = new Map(inputs.map(({ name, dims }) => [name, dims?.[1]]));
  for (const { op, inputs: [from], outputs: [to] } of nodes) {
    if ((op === "Cast" || op === "Identity") && from !== undefined && to !== undefined) {
      widths.set(to, widths.get(from));
    }
  }
  return nodes.flatMap((node) => {
    if (!isTreeEnsemble(node)) return [];
    const path = `/graph/node/${node.domain}/${node.op}`;
    try {
      const most = readTrees(node).feature.reduce((a, b) => Math.max(a, b), 0);
      const width = widths.get(node.inputs[0] ?? "");
      if (typeof width !== "number" || most < width) return [];
      return [{ path, message: `asks about feature ${most} of rows that have ${width}` }];
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      return [{ path, message: error.message }];
    }
  });
}
