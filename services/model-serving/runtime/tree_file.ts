/** Recognising a file that is nothing but trees, whatever wraps them. @module */
import type { AdmittedModel } from "shared/onnx/admission.ts";
import { ELEMENT_TYPE } from "shared/onnx/model_proto.ts";
import type { ReadGraph, ReadNode } from "shared/onnx/graph_reader.ts";
import type { ModelShape } from "shared/onnx/model_batch.ts";
import { isTreeEnsemble, LEAF, type ReadTrees, readTrees } from "shared/onnx/trees.ts";
import { MODEL_TENSORS } from "shared/contracts/signature.ts";

/** Where a number that the trees look at comes from. */
export type Column =
  | { from: "numbers"; index: number }
  | { from: "categories"; index: number; codes: ReadonlyMap<string, number>; otherwise: number };

/** From inputs to one value a row: columns, the sum of trees, a constant, perhaps a sigmoid. */
export interface TreeFile {
  columns: readonly Column[];
  trees: ReadTrees;
  /** Added to the sum, rounded as the sum is. */
  base: number;
  sigmoid: boolean;
}

/** What a value of the graph is, as far as it is understood. */
type Value = { columns: readonly Column[] } | { sum: Omit<TreeFile, "sigmoid">; sigmoid: boolean };

/**
 * Most columns of all values, and categories that they tell apart: a few calls of Concat, each of what the one before
 * made, would make any number of columns, and both take their time on the way from one thread to another.
 */
const MAX_COLUMNS = 65_536;

/**
 * Reads a graph of one summed ensemble of trees with one value a row.
 *
 * @returns `undefined` for any other graph, and for one that takes other rows than those of the shape
 */
export function findTrees({ summary, graph }: AdmittedModel, shape: ModelShape): TreeFile | undefined {
  const values = new Map<string, Value>();
  let columns = 0;
  for (const { name, type, dims } of summary.inputs) {
    const width = dims?.[1];
    if (dims?.length !== 2 || typeof width !== "number") return undefined;
    // Before anything is made of that size: it is what the file says.
    if (name === MODEL_TENSORS.numbers && type === "float" && width === shape.numbers) {
      values.set(name, {
        columns: Array.from({ length: width }, (_, index) => ({ from: "numbers", index })),
      });
    } else if (name === MODEL_TENSORS.categories && type === "string" && width === shape.categories) {
      const codes = new Map<string, number>();
      values.set(name, {
        columns: Array.from({ length: width }, (_, index) => (
          { from: "categories", index, codes, otherwise: NaN }
        )),
      });
    } else return undefined;
  }
  for (const node of graph.nodes) {
    const [output, ...others] = node.outputs;
    const value = others.length === 0 ? understand(node, values, graph) : undefined;
    if (value === undefined || output === undefined) return undefined;
    if ("columns" in value) columns += value.columns.length;
    if (node.op === "LabelEncoder") columns += stringsOf(node).length;
    if (columns > MAX_COLUMNS) return undefined;
    values.set(output, value);
  }
  const [output, ...others] = summary.outputs;
  const answer = values.get(output?.name ?? "");
  if (others.length > 0 || output?.type !== "float" || !answer || !("sum" in answer)) return undefined;
  return { ...answer.sum, sigmoid: answer.sigmoid };
}

function understand(node: ReadNode, values: ReadonlyMap<string, Value>, graph: ReadGraph): Value | undefined {
  const [first] = node.inputs;
  const input = values.get(first ?? "");
  if (input === undefined) return undefined;
  if (isTreeEnsemble(node)) return "columns" in input ? sumOf(node, input.columns) : undefined;
  const constant = graph.initializers.get(node.inputs[1] ?? "")?.data;
  switch (node.op) {
    case "Identity":
      return input;
    case "Cast":
      return afterCast(node, input);
    case "Gather":
      return afterGather(node, input, constant);
    case "LabelEncoder":
      return afterLabels(node, input);
    case "Concat": {
      if (int(node, "axis") !== 1) return undefined;
      const parts = node.inputs.map((name) => values.get(name));
      const columns = parts.map((part) => part && "columns" in part ? part.columns : undefined);
      const width = columns.reduce((sum, list) => sum + (list?.length ?? 0), 0);
      if (width > MAX_COLUMNS || columns.includes(undefined)) return undefined;
      return { columns: columns.flatMap((list) => list ?? []) };
    }
    case "Add": {
      if ("columns" in input || input.sigmoid || input.sum.base !== 0) return undefined;
      const { sum } = input;
      const fits = sum.trees.double ? constant instanceof Float64Array : constant instanceof Float32Array;
      if (constant === undefined || !fits || constant.length !== 1) return undefined;
      return { sum: { ...sum, base: Number(constant[0]) }, sigmoid: false };
    }
    case "Sigmoid":
      if ("columns" in input || input.sigmoid || input.sum.trees.double) return undefined;
      return { sum: input.sum, sigmoid: true };
    case "Reshape":
      return "sum" in input && constant?.length === 1 && constant[0] === -1n ? input : undefined;
  }
  return undefined;
}

function int({ attributes }: ReadNode, name: string): number | undefined {
  const attribute = attributes.get(name);
  return attribute && "int" in attribute ? attribute.int : undefined;
}

/** Features are float32 either way; sums of float64 become float32 at the end. */
function afterCast(node: ReadNode, input: Value): Value | undefined {
  const to = int(node, "to");
  const isWidening = "columns" in input && to === ELEMENT_TYPE.double;
  const isEnd = "sum" in input && input.sum.trees.double && to === ELEMENT_TYPE.float;
  return isWidening || isEnd ? input : undefined;
}

function afterGather(
  node: ReadNode,
  input: Value,
  indices: ArrayLike<unknown> | undefined,
): Value | undefined {
  if (!("columns" in input) || int(node, "axis") !== 1 || indices?.length !== 1) return undefined;
  const column = input.columns[Number(indices[0])];
  return column && { columns: [column] };
}

/** The categories that an encoder tells apart. */
function stringsOf({ attributes }: ReadNode): readonly string[] {
  const keys = attributes.get("keys_strings");
  return keys && "strings" in keys ? keys.strings : [];
}

function afterLabels(node: ReadNode, input: Value): Value | undefined {
  if (!("columns" in input) || input.columns.length !== 1) return undefined;
  const [column] = input.columns;
  const { attributes } = node;
  const strings = stringsOf(node);
  const codes = attributes.get("values_floats");
  const otherwise = attributes.get("default_float");
  if (column?.from !== "categories" || column.codes.size > 0) return undefined;
  if (strings.length > MAX_COLUMNS || !codes || !("floats" in codes)) return undefined;
  if (!otherwise || !("float" in otherwise)) return undefined;
  const { floats } = codes;
  return {
    columns: [{
      from: "categories",
      index: column.index,
      codes: new Map(strings.map((text, at) => [text, floats[at] ?? NaN])),
      otherwise: otherwise.float,
    }],
  };
}

function sumOf(node: ReadNode, columns: readonly Column[]): Value | undefined {
  const trees = readTrees(node);
  const { aggregate, postTransform, targets, mode, feature, threshold, weights, base } = trees;
  const known = node.op !== "TreeEnsembleClassifier" && aggregate === "SUM" && postTransform === "NONE" &&
    targets === 1 && base.length <= 1 &&
    mode.every((name) => name === "BRANCH_LEQ" || name === "BRANCH_MEMBER" || name === "LEAF") &&
    feature.every((id) => id < columns.length) && !threshold.some(Number.isNaN) &&
    new Set(weights.node).size === weights.node.length && weights.node.every((id) => feature[id] === LEAF) &&
    // A category without its codes is a text, which no tree looks at.
    columns.every((column) => column.from === "numbers" || column.codes.size > 0);
  return known ? { sum: { columns, trees, base: base[0] ?? 0 }, sigmoid: false } : undefined;
}
