/**
 * Why a model answers as it does, from its ONNX file alone: training writes it on the model card, serving answers it to
 * `explain`.
 *
 * @module
 */
import { z } from "zod";
import { MODEL_METADATA, outputWidth, type Signature, signatureSchema } from "../contracts/signature.ts";
import { AppError } from "../errors.ts";
import { type ReadGraph, readGraph } from "../onnx/graph_reader.ts";
import type { ModelBatch } from "../onnx/model_batch.ts";
import { readModel } from "../onnx/reader.ts";
import { isTreeEnsemble, readTrees } from "../onnx/trees.ts";
import { parseWith } from "../validation.ts";
import { addTreeShap, expectedValues, type ExplainableTrees } from "./tree_shap.ts";

/**
 * What the parts of an answer add up to: log odds of the second class; log scores of each class, whose softmax are the
 * probabilities; scores of each class, whose parts of their sum are the probabilities (a forest's); or the answer.
 */
export type ExplanationScale = "log_odds" | "log_scores" | "scores" | "value";

/** The answer for each row is base + the sum of its features' contributions, on the scale of the explanation. */
export interface Explanation {
  /** What the model says on average over its training part: [outputs]. */
  base: Float64Array;
  /** [rows, inputs in the order of the signature, outputs] */
  contributions: Float64Array;
}

export interface Explainer {
  readonly signature: Signature;
  readonly scale: ExplanationScale;
  explain(batch: ModelBatch): Explanation;
}

/** Adds what each feature of a row contributes: [inputs, outputs]. */
interface Parts {
  base: Float64Array;
  add(row: Float64Array, into: Float64Array): void;
}

/**
 * The explainer of a model that this platform has made: trees by TreeSHAP, linear models by their weights.
 *
 * @throws {AppError} `unprocessable` for a file of another making
 */
export function createExplainer(file: Uint8Array): Explainer {
  const { metadata } = readModel(file);
  const text = metadata[MODEL_METADATA.signature];
  if (text === undefined) throw refused(`the file says no "${MODEL_METADATA.signature}"`);
  const signature = parseWith(signatureSchema, JSON.parse(text), "explain the model");
  const graph = readGraph(file);
  const outputs = outputWidth(signature);
  const parts = treeParts(graph, metadata[MODEL_METADATA.treeShares]) ?? linearParts(graph, signature);
  if (parts === undefined) throw refused("it is neither made of trees nor linear");
  const inputs = signature.inputs.length;
  const encode = createEncoder(signature);
  const has = (operator: string) => graph.nodes.some(({ op }) => op === operator);
  const ofClasses = has("Softmax") ? "log_scores" : "scores";
  return {
    signature,
    scale: outputs > 1 ? ofClasses : has("Sigmoid") ? "log_odds" : "value",
    explain(batch) {
      const rows = encode(batch);
      const contributions = new Float64Array(batch.rows * inputs * outputs);
      for (let row = 0; row < batch.rows; row++) {
        parts.add(
          rows.subarray(row * inputs, (row + 1) * inputs),
          contributions.subarray(row * inputs * outputs, (row + 1) * inputs * outputs),
        );
      }
      return { base: parts.base, contributions };
    },
  };
}

const sharesSchema = z.array(z.number().min(0).max(1));

const refused = (detail: string) => new AppError("unprocessable", `Cannot explain the model: ${detail}`);

/** Rows as the graph sees them after its encoding: numbers, and the codes of texts. */
function createEncoder({ inputs }: Signature): (batch: ModelBatch) => Float64Array {
  const codes = inputs.map((input) =>
    input.type === "category" ? new Map(input.vocabulary.map((text, index) => [text, index + 1])) : undefined
  );
  return ({ rows, numbers, categories }) => {
    const encoded = new Float64Array(rows * inputs.length);
    let number = 0;
    let category = 0;
    for (let at = 0; at < encoded.length; at++) {
      const known = codes[at % inputs.length];
      if (known === undefined) {
        encoded[at] = Math.fround(numbers[number++]!);
        continue;
      }
      const text = categories[category++]!;
      encoded[at] = text === "" ? 0 : known.get(text) ?? known.size + 1;
    }
    return encoded;
  };
}

function treeParts(graph: ReadGraph, shares: string | undefined): Parts | undefined {
  const node = graph.nodes.find(isTreeEnsemble);
  if (node === undefined) return undefined;
  if (shares === undefined) throw refused(`the file says no "${MODEL_METADATA.treeShares}"`);
  const trueShares = parseWith(sharesSchema, JSON.parse(shares), "explain the model");
  const read = readTrees(node);
  const asking = read.mode.filter((mode) => mode !== "LEAF").length;
  if (trueShares.length !== asking) {
    throw refused(`${asking} nodes have ${trueShares.length} shares in "${MODEL_METADATA.treeShares}"`);
  }
  const trees: ExplainableTrees = { ...read, trueShares };
  const base = expectedValues(trees);
  const constant = doublesOf(graph, "base");
  return {
    base: base.map((value, target) => value + (constant?.[target] ?? 0)),
    add: (row, into) => addTreeShap(trees, row, into),
  };
}

/** Against the average row of the training part, whose standardised numbers are 0, and whose categories weigh 0. */
function linearParts(graph: ReadGraph, { inputs }: Signature): Parts | undefined {
  const base = doublesOf(graph, "intercept");
  if (base === undefined) return undefined;
  const outputs = base.length;
  const means = doublesOf(graph, "means");
  const factors = doublesOf(graph, "factors");
  const weights = doublesOf(graph, "weights");
  const tables = inputs.filter(({ type }) => type === "category")
    .map((_, index) => doublesOf(graph, `weights_${index}`));
  return {
    base,
    add(row, into) {
      let number = 0;
      let category = 0;
      inputs.forEach(({ type }, input) => {
        const value = row[input]!;
        if (type === "category") {
          const table = tables[category++];
          for (let output = 0; output < outputs; output++) {
            into[input * outputs + output] = table?.[value * outputs + output] ?? 0;
          }
          return;
        }
        const at = number++;
        const standardised = Number.isNaN(value) ? 0 : (value - means![at]!) * factors![at]!;
        for (let output = 0; output < outputs; output++) {
          into[input * outputs + output] = standardised * weights![at * outputs + output]!;
        }
      });
    },
  };
}

function doublesOf({ initializers }: ReadGraph, name: string): Float64Array | undefined {
  const data = initializers.get(name)?.data;
  return data === undefined ? undefined : Float64Array.from(data, Number);
}
