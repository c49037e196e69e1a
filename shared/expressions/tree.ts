/**
 * What is changed in an expression's tree between parsing and checking, and between checking and running.
 * The tree's nodes are the library's own objects, changed in place: its version is pinned, and cel_test.ts
 * holds every property relied on.
 */
import { type ASTNode, parse } from "@marcbachmann/cel-js";
import { invalid } from "../errors.ts";
import { SAFE_MATCHES, UTC_DAY_OF_YEAR } from "./environment.ts";
import { compilePattern } from "./pattern.ts";

interface WithArgs {
  args: unknown;
}

/** What the library calls, after the check, to read a field. */
interface WithHandle {
  handle: (left: unknown, key: unknown) => unknown;
}

const LIST_MACROS = new Set(["all", "exists", "exists_one", "map", "filter"]);
const MAX_MACRO_DEPTH = 2;

/** Functions of the library that give an integer. */
const INTEGER_FUNCTIONS = new Set([
  "size",
  "int",
  "uint",
  "indexOf",
  "lastIndexOf",
  "getDate",
  "getDayOfMonth",
  "getDayOfWeek",
  "getDayOfYear",
  "getFullYear",
  "getHours",
  "getMilliseconds",
  "getMinutes",
  "getMonth",
  "getSeconds",
]);

/**
 * Turns numbers into doubles, puts our functions in place of the unsafe ones, refuses what has no bound.
 *
 * @returns the fields read straight from each variable
 * @throws {AppError} `invalid`
 */
export function rewrite(root: ASTNode, variables: readonly string[]): Record<string, string[]> {
  const reads = new Map(variables.map((name) => [name, new Set<string>()]));
  visit(root, 0);
  return Object.fromEntries([...reads].map(([name, fields]) => [name, [...fields].sort()]));

  function visit(node: ASTNode, macroDepth: number): void {
    let depth = macroDepth;
    switch (node.op) {
      case "value":
        toDouble(node);
        return;
      case "id":
        if (node.args === "cel") throw invalid("cel.bind is not available");
        return;
      case ".":
        noteRead(node.args[0], node.args[1]);
        break;
      case "[]": {
        const [list, index] = node.args;
        if (index.op === "value" && typeof index.args === "string") noteRead(list, index.args);
        // The checker wants an integer as the literal index of a literal list.
        if (index.op === "value" && typeof index.args === "bigint") return visit(list, depth);
        break;
      }
      case "rcall":
        if (LIST_MACROS.has(node.args[0])) depth++;
        if (depth > MAX_MACRO_DEPTH) {
          throw invalid(`list macros may be nested ${MAX_MACRO_DEPTH} deep, not deeper`);
        }
        replaceUnsafe(node);
        break;
    }
    for (const slots of childSlots(node)) {
      slots.forEach((child, index) => {
        if (!isNode(child)) return;
        visit(child, depth);
        slots[index] = widened(child, node.op);
      });
    }
    if (node.op === "!_" || node.op === "-_") {
      visit(node.args, depth);
      (node as WithArgs).args = widened(node.args, node.op);
    }
  }

  function noteRead(object: ASTNode, field: string): void {
    if (object.op === "id") reads.get(object.args)?.add(field);
  }
}

/** After the check: reading a field that is not there gives null instead of an error. */
export function readNullsForMissing(node: ASTNode): void {
  if (node.op === "." || node.op === "[]") (node as unknown as WithHandle).handle = readField;
  for (const slots of childSlots(node)) {
    for (const child of slots) if (isNode(child)) readNullsForMissing(child);
  }
  if (node.op === "!_" || node.op === "-_") readNullsForMissing(node.args);
}

/** Whether a variable stands for itself somewhere, and not only for one of its fields. */
export function isUsedWhole(node: ASTNode, variable: string): boolean {
  if (node.op === "id") return node.args === variable;
  if (node.op === "!_" || node.op === "-_") return isUsedWhole(node.args, variable);
  return childSlots(node).some((slots) =>
    slots.some((child, index) => {
      if (!isNode(child)) return false;
      const isReadFrom = (node.op === "." || node.op === "[]") && index === 0 && child.op === "id";
      return !isReadFrom && isUsedWhole(child, variable);
    })
  );
}

/**
 * Hides types from the check where null, which every field can be, makes the operation right all the same: in a
 * comparison with null, and, where `branches` says so, in a choice between values of different types.
 */
export function loosen(node: ASTNode, { branches }: { branches: boolean }): void {
  for (const slots of childSlots(node)) {
    for (const child of slots) if (isNode(child)) loosen(child, { branches });
  }
  switch (node.op) {
    case "!_":
    case "-_":
      return loosen(node.args, { branches });
    case "==":
    case "!=":
    case "in":
      if (node.args.some(holdsNull)) node.args[1] = call("dyn", node.args[1]);
      return;
    case "?:":
      if (!branches) return;
      node.args[1] = call("dyn", node.args[1]);
      node.args[2] = call("dyn", node.args[2]);
  }
}

/** Whether it is null as it is written, or a list in which null is written. */
function holdsNull(node: ASTNode): boolean {
  return node.op === "value" ? node.args === null : node.op === "list" && node.args.some(holdsNull);
}

function readField(object: unknown, key: unknown): unknown {
  if (typeof object !== "object" || object === null) return null;
  if (Array.isArray(object)) return object[Number(key)] ?? null;
  const name = String(key);
  return Object.hasOwn(object, name) ? (object as Record<string, unknown>)[name] ?? null : null;
}

function toDouble(node: ASTNode & { op: "value" }): void {
  const value = node.args;
  if (typeof value !== "bigint" && !(typeof value === "object" && value && "verify" in value)) return;
  const double = Number(value.valueOf());
  if (!Number.isSafeInteger(double)) {
    throw invalid(`the integer ${value} is larger than a double holds exactly (2^53)`);
  }
  (node as WithArgs).args = double;
}

function replaceUnsafe(node: ASTNode & { op: "rcall" }): void {
  const [name, , args] = node.args;
  if (name === "getDayOfYear" && args.length === 0) node.args[0] = UTC_DAY_OF_YEAR;
  if (name !== "matches") return;
  const pattern = args[0];
  if (pattern?.op !== "value" || typeof pattern.args !== "string") {
    throw invalid('the pattern of matches() must be written as text: e.code.matches("^[A-Z]")');
  }
  compilePattern(pattern.args);
  node.args[0] = SAFE_MATCHES;
}

/** Integers become doubles, and null may stand in one branch of a choice beside a value in the other. */
function widened(child: ASTNode, parent: ASTNode["op"]): ASTNode {
  if (parent === "?:" && child.op === "value" && child.args === null) return call("dyn", child);
  const isInteger = (child.op === "call" || child.op === "rcall") &&
    (INTEGER_FUNCTIONS.has(child.args[0]) || child.args[0] === UTC_DAY_OF_YEAR);
  return isInteger ? call("double", child) : child;
}

/** A call around a node, made by the parser itself: nodes have no public constructor. */
function call(name: string, argument: ASTNode): ASTNode {
  const node = parse(`${name}(null)`).ast;
  if (node.op === "call") node.args[1][0] = argument;
  return node;
}

function isNode(value: unknown): value is ASTNode {
  return typeof value === "object" && value !== null && "op" in value;
}

/** The arrays that hold a node's children, so that a child can be replaced. */
function childSlots(node: ASTNode): unknown[][] {
  switch (node.op) {
    case "value":
    case "id":
    case "!_":
    case "-_":
      return [];
    case "call":
      return [node.args[1]];
    case "rcall":
      return [node.args, node.args[2]];
    case "map":
      return node.args;
    default:
      return [node.args];
  }
}
