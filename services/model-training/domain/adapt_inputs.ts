/** The inputs of ONNX files made elsewhere, fed from the platform's. @module */
import { MODEL_TENSORS, type ModelInput, type Signature } from "shared/contracts/signature.ts";
import { AppError } from "shared/errors.ts";
import type { Node, Tensor } from "shared/onnx/model_proto.ts";
import type { ModelSummary, ModelValue } from "shared/onnx/reader.ts";
import type { WireWriter } from "shared/onnx/wire.ts";
import { writeValueInfo } from "shared/onnx/writer.ts";

/** What is put around a graph. */
export interface Adapted {
  nodes: Node[];
  initializers: Tensor[];
  /** Writes the inputs or the output that the graph then has. */
  write(graph: WireWriter): void;
}

const DOUBLE = 11;

interface OurTensor {
  name: string;
  /** Of whatever it may feed; the first one is its own. */
  types: readonly ModelValue["type"][];
  inputs: readonly ModelInput[];
}

/**
 * The file's inputs are one tensor for all numbers and one for all texts, under any names, or a column for each input of
 * the signature, under its name, as skl2onnx makes them of a data frame.
 *
 * @throws {AppError} `unprocessable` when they are neither
 */
export function adaptInputs({ inputs: theirs }: ModelSummary, signature: Signature): Adapted {
  const ours: OurTensor[] = [
    { name: MODEL_TENSORS.numbers, types: ["float", "double"] as const, of: "number" as const },
    { name: MODEL_TENSORS.categories, types: ["string"] as const, of: "category" as const },
  ].map(({ of, ...tensor }) => ({ ...tensor, inputs: signature.inputs.filter(({ type }) => type === of) }))
    .filter(({ inputs }) => inputs.length > 0);
  const adapted = adaptTensors(theirs, ours) ?? adaptColumns(theirs, ours);
  if (adapted === undefined) throw unfit(wantedText(theirs, ours));
  return {
    ...adapted,
    write(graph) {
      for (const { name, inputs, types } of ours) {
        const type = types[0] === "string" ? "string" : "float";
        graph.message(
          GRAPH_INPUT,
          (child) => writeValueInfo(child, { name, type, dims: ["rows", inputs.length] }),
        );
      }
    },
  };
}

/** The number of the field of `GraphProto`. */
const GRAPH_INPUT = 11;

type Fed = Pick<Adapted, "nodes" | "initializers">;

function adaptTensors(theirs: readonly ModelValue[], ours: readonly OurTensor[]): Fed | undefined {
  if (theirs.length !== ours.length) return undefined;
  const nodes: Node[] = [];
  for (const { name, types, inputs } of ours) {
    const [to, ...others] = theirs.filter(({ type, dims }) =>
      types.includes(type) && fits(dims, inputs.length)
    );
    if (to === undefined || others.length > 0) return undefined;
    if (name === to.name && to.type !== "double") continue;
    if (name === to.name) {
      throw unfit(`its input "${name}" is of ${to.type}: export it with float inputs, or under another name`);
    }
    nodes.push(feed(name, to));
  }
  return { nodes, initializers: [] };
}

function adaptColumns(theirs: readonly ModelValue[], ours: readonly OurTensor[]): Fed | undefined {
  const nodes: Node[] = [];
  const initializers: Tensor[] = [];
  for (const { name: tensor, types, inputs } of ours) {
    for (const [place, { name }] of inputs.entries()) {
      const to = theirs.find((input) => input.name === name || input.name === plain(name));
      if (to === undefined || !types.includes(to.type) || !fits(to.dims, 1)) return undefined;
      const index = `microml_place_of_${name}`;
      const column = `microml_column_of_${name}`;
      initializers.push({ name: index, dims: [1], type: "int64", data: BigInt64Array.of(BigInt(place)) });
      nodes.push(
        { op: "Gather", inputs: [tensor, index], outputs: [column], attributes: { axis: { int: 1 } } },
        feed(column, to),
      );
    }
  }
  return nodes.length / 2 === theirs.length ? { nodes, initializers } : undefined;
}

/** A name as skl2onnx writes it. */
const plain = (name: string) => name.replaceAll(/\W/g, "_");

/** Gives one of ours to one of theirs. */
function feed(from: string, to: ModelValue): Node {
  const ends = { inputs: [from], outputs: [to.name] };
  return to.type === "double"
    ? { op: "Cast", ...ends, attributes: { to: { int: DOUBLE } } }
    : { op: "Identity", ...ends };
}

function wantedText(theirs: readonly ModelValue[], ours: readonly OurTensor[]): string {
  const tensors = ours.map(({ types, inputs }) => `one of ${types.join(" or ")} [rows, ${inputs.length}]`);
  return `its inputs are ${list(theirs)}, the signature wants ${
    tensors.join(" and ")
  }, or a column [rows, 1] for each of its inputs under its name`;
}

/** Whether a tensor may have this many columns; a dimension that is not a number may be any. */
export function fits(dims: ModelValue["dims"], width: number): boolean {
  if (dims === null) return true;
  return dims.length === 2 && (typeof dims[1] !== "number" || dims[1] === width);
}

export const list = (values: readonly ModelValue[]): string =>
  values.map(({ name, type, dims }) =>
    `"${name}" ${type} [${dims?.map((dim) => dim === "" ? "?" : dim).join(", ") ?? "?"}]`
  )
    .join(", ") || "none";

export const unfit = (reason: string): AppError =>
  new AppError("unprocessable", `Cannot use the ONNX file: ${reason}`);
