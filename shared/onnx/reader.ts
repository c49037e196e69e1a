import { invalid, tooLarge } from "../errors.ts";
import { ELEMENT_TYPE, type ElementType } from "./model_proto.ts";
import { readFields, readInt, readMessage, readText } from "./wire.ts";

/** An input or output of the graph. Sequences, maps and the like have no element type and no shape. */
export interface ModelValue {
  name: string;
  /** `other` for what is not a tensor, or has an element type the platform does not know. */
  type: ElementType | "other";
  /** A number, or the name of a dynamic dimension (empty when it has none); `null` when no shape is stated. */
  dims: readonly (number | string)[] | null;
}

/** How often an operator occurs, branches and loop bodies included. */
export interface OperatorUse {
  domain: string;
  op: string;
  count: number;
}

/** What a file says of itself, read without running or unpacking it. */
export interface ModelSummary {
  irVersion: number;
  producerName: string;
  /** Version of each operator set, by domain; the default set is `ai.onnx`. */
  opsets: Readonly<Record<string, number>>;
  metadata: Readonly<Record<string, string>>;
  /** What a caller has to give: constants that are also listed as inputs are left out. */
  inputs: readonly ModelValue[];
  outputs: readonly ModelValue[];
  /** Sorted by domain and name. */
  operators: readonly OperatorUse[];
  /** Functions defined in the file itself; their operators are counted too. */
  functions: number;
  /** Whether a constant lies in another file: such a model is not complete in itself. */
  externalData: boolean;
}

export interface ReadLimits {
  /** Most bytes of a file; default: 512 MiB. */
  maxBytes?: number;
  /** Most operator calls in all; default: 100,000. */
  maxNodes?: number;
  /** Most attributes, constants, inputs, outputs and the like in all; default: 250,000. */
  maxParts?: number;
  /** How deep branches and loops may be nested; default: 16. */
  maxDepth?: number;
}

interface Findings {
  limits: Required<ReadLimits>;
  nodes: number;
  parts: number;
  operators: Map<string, OperatorUse>;
  externalData: boolean;
}

/**
 * Reads what a file declares: format, operator sets, metadata, inputs, outputs and the operators it uses. Weights
 * are passed over, so that the cost is small and bounded whatever the file claims.
 *
 * @throws {AppError} `invalid` when it is cut or is no ONNX file, `too_large` beyond a limit
 */
export function readModel(bytes: Uint8Array, limits: ReadLimits = {}): ModelSummary {
  const { maxBytes = 512 * 1024 * 1024, maxNodes = 100_000, maxParts = 250_000, maxDepth = 16 } = limits;
  if (bytes.length > maxBytes) {
    throw tooLarge(
      `Cannot read the ONNX file: it has ${bytes.length} bytes, at most ${maxBytes} are accepted`,
    );
  }
  const findings: Findings = {
    limits: { maxBytes, maxNodes, maxParts, maxDepth },
    nodes: 0,
    parts: 0,
    operators: new Map(),
    externalData: false,
  };
  let irVersion = 0;
  let producerName = "";
  let functions = 0;
  let graph: GraphInterface | undefined;
  // Null prototypes: the keys come from the file, and `__proto__` must be a key like any other.
  const opsets: Record<string, number> = Object.create(null);
  const metadata: Record<string, string> = Object.create(null);
  for (const field of readFields(bytes)) {
    switch (field.number) {
      case 1:
        irVersion = readInt(field);
        break;
      case 2:
        producerName = readText(field);
        break;
      case 7:
        // A runtime would merge the two, and then see another graph than the one described here.
        if (graph) throw invalid("Cannot read the ONNX file: it has two graphs");
        graph = readGraph(readMessage(field), 0, findings);
        break;
      case 8: {
        countPart(findings);
        const { domain, version } = readOpset(readMessage(field));
        opsets[domain] = version;
        break;
      }
      case 14: {
        countPart(findings);
        const { key, value } = readMetadataEntry(readMessage(field));
        metadata[key] = value;
        break;
      }
      case 25:
        countPart(findings);
        functions++;
        readFunction(readMessage(field), findings);
        break;
    }
  }
  if (irVersion < 1) throw invalid("Cannot read the ONNX file: it states no format version");
  if (graph === undefined) throw invalid("Cannot read the ONNX file: it has no graph");
  if (graph.outputs.length === 0) throw invalid("Cannot read the ONNX file: its graph has no output");
  return {
    irVersion,
    producerName,
    opsets,
    metadata,
    inputs: graph.inputs,
    outputs: graph.outputs,
    operators: [...findings.operators.values()].sort(byDomainAndName),
    functions,
    externalData: findings.externalData,
  };
}

interface GraphInterface {
  inputs: ModelValue[];
  outputs: ModelValue[];
}

function readGraph(bytes: Uint8Array, depth: number, findings: Findings): GraphInterface {
  if (depth > findings.limits.maxDepth) {
    throw tooLarge(
      `Cannot read the ONNX file: its branches are nested more than ${findings.limits.maxDepth} deep`,
    );
  }
  const inputs: ModelValue[] = [];
  const outputs: ModelValue[] = [];
  const constants = new Set<string>();
  for (const field of readFields(bytes)) {
    switch (field.number) {
      case 1:
        readNode(readMessage(field), depth, findings);
        break;
      case 5:
        constants.add(readTensorName(readMessage(field), findings));
        break;
      case 11:
        inputs.push(readValueInfo(readMessage(field), findings));
        break;
      case 12:
        outputs.push(readValueInfo(readMessage(field), findings));
        break;
      case 15:
        readSparseTensor(readMessage(field), findings);
        break;
    }
  }
  return { inputs: inputs.filter((input) => !constants.has(input.name)), outputs };
}

/** A few bytes each in the file, and some hundreds in memory. */
function countPart(findings: Findings): void {
  const { maxParts } = findings.limits;
  if (++findings.parts <= maxParts) return;
  throw tooLarge(
    `Cannot read the ONNX file: it has more than ${maxParts} attributes, constants, inputs, outputs and the like`,
  );
}

function readFunction(bytes: Uint8Array, findings: Findings): void {
  for (const field of readFields(bytes)) {
    if (field.number === 7) readNode(readMessage(field), 0, findings);
  }
}

function readNode(bytes: Uint8Array, depth: number, findings: Findings): void {
  if (++findings.nodes > findings.limits.maxNodes) {
    throw tooLarge(`Cannot read the ONNX file: it has more than ${findings.limits.maxNodes} operator calls`);
  }
  let op = "";
  let domain = "";
  for (const field of readFields(bytes)) {
    switch (field.number) {
      case 4:
        op = readText(field);
        break;
      case 5:
        readAttribute(readMessage(field), depth, findings);
        break;
      case 7:
        domain = readText(field);
        break;
    }
  }
  const named = { domain: nameOfDomain(domain), op };
  const key = `${named.domain}/${named.op}`;
  const use = findings.operators.get(key) ?? { ...named, count: 0 };
  use.count++;
  findings.operators.set(key, use);
}

/** Of an attribute, only what can hide operators or outside data matters: graphs and tensors. */
function readAttribute(bytes: Uint8Array, depth: number, findings: Findings): void {
  countPart(findings);
  for (const field of readFields(bytes)) {
    switch (field.number) {
      case 5:
      case 10:
        readTensorName(readMessage(field), findings);
        break;
      case 6:
      case 11:
        readGraph(readMessage(field), depth + 1, findings);
        break;
      case 22:
      case 23:
        readSparseTensor(readMessage(field), findings);
        break;
    }
  }
}

const EXTERNAL_LOCATION = 1;

function readTensorName(bytes: Uint8Array, findings: Findings): string {
  countPart(findings);
  let name = "";
  for (const field of readFields(bytes)) {
    if (field.number === 8) name = readText(field);
    if (field.number === 14 && readInt(field) === EXTERNAL_LOCATION) findings.externalData = true;
  }
  return name;
}

function readSparseTensor(bytes: Uint8Array, findings: Findings): void {
  countPart(findings);
  for (const field of readFields(bytes)) {
    if (field.number === 1 || field.number === 2) readTensorName(readMessage(field), findings);
  }
}

function readOpset(bytes: Uint8Array): { domain: string; version: number } {
  let domain = "";
  let version = 0;
  for (const field of readFields(bytes)) {
    if (field.number === 1) domain = readText(field);
    if (field.number === 2) version = readInt(field);
  }
  return { domain: nameOfDomain(domain), version };
}

function readMetadataEntry(bytes: Uint8Array): { key: string; value: string } {
  let key = "";
  let value = "";
  for (const field of readFields(bytes)) {
    if (field.number === 1) key = readText(field);
    if (field.number === 2) value = readText(field);
  }
  return { key, value };
}

function readValueInfo(bytes: Uint8Array, findings: Findings): ModelValue {
  countPart(findings);
  const value: ModelValue = { name: "", type: "other", dims: null };
  for (const field of readFields(bytes)) {
    if (field.number === 1) value.name = readText(field);
    if (field.number === 2) Object.assign(value, readType(readMessage(field), findings));
  }
  return value;
}

const ELEMENT_TYPE_NAMES = new Map<number, ElementType>(
  Object.entries(ELEMENT_TYPE).map(([name, number]) => [number, name as ElementType]),
);

function readType(bytes: Uint8Array, findings: Findings): Pick<ModelValue, "type" | "dims"> {
  let type: ModelValue["type"] = "other";
  let dims: ModelValue["dims"] = null;
  for (const field of readFields(bytes)) {
    if (field.number !== 1) continue;
    for (const part of readFields(readMessage(field))) {
      if (part.number === 1) type = ELEMENT_TYPE_NAMES.get(readInt(part)) ?? "other";
      if (part.number === 2) dims = readShape(readMessage(part), findings);
    }
  }
  return { type, dims };
}

function readShape(bytes: Uint8Array, findings: Findings): (number | string)[] {
  const dims: (number | string)[] = [];
  for (const field of readFields(bytes)) {
    if (field.number !== 1) continue;
    countPart(findings);
    let dim: number | string = "";
    for (const part of readFields(readMessage(field))) {
      if (part.number === 1) dim = readInt(part);
      if (part.number === 2) dim = readText(part);
    }
    dims.push(dim);
  }
  return dims;
}

const nameOfDomain = (domain: string) => domain === "" ? "ai.onnx" : domain;

const byDomainAndName = (a: OperatorUse, b: OperatorUse) =>
  compareText(a.domain, b.domain) || compareText(a.op, b.op);

const compareText = (a: string, b: string) => a < b ? -1 : a > b ? 1 : 0;
