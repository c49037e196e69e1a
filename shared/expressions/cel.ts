/**
 * Expressions that users write: CEL (the Common Expression Language), checked when they are compiled.
 *
 * What differs from plain CEL, so that expressions over JSON do what they look like:
 * - Every number is a double, integer literals and the results of `size()`, `int()` and the like included:
 *   `e.quantity * 2`, `1 / 4 == 0.25` and `size(e.lines) * 1.5` just work.
 * - A missing field is null, at any depth, and so is an element outside a list. `has(e.x)` still tells a
 *   missing field from one that is null.
 * - What is computed from null is null, as in SQL: `e.quantity * e.price` without a price, and
 *   `e.quantity > 3` without a quantity. `==`, `!=` and `in` compare with null; `&&` and `||` do not look at a
 *   null operand when the other one decides.
 * - A number that is not finite (`1 / 0`) is null, for JSON has no word for it.
 * - `matches` takes a literal pattern and runs it on a linear-time engine (./pattern.ts).
 * - `cel.bind` is refused and list macros (`map`, `filter`, `all` ...) nest at most twice, because there is
 *   no limit on the cost of a running expression.
 *
 * Evaluation reads no clock, no random numbers and no time zone: the same variables give the same value.
 *
 * @module
 */
import { EvaluationError, ParseError, TypeError as CelTypeError } from "@marcbachmann/cel-js";
import { AppError, invalid, messageOf } from "../errors.ts";
import { toInstant } from "../contracts/time.ts";
import { createEnvironment, type FieldTypes, SAFE_MATCHES, type VariableType } from "./environment.ts";
import { isUsedWhole, loosen, readNullsForMissing, rewrite } from "./tree.ts";

export type { VariableType } from "./environment.ts";

/** Longest expression accepted, in characters. */
export const MAX_EXPRESSION_LENGTH = 2_000;

/** What an expression gives: anything that JSON can hold. */
export type ExpressionValue =
  | null
  | boolean
  | number
  | string
  | readonly ExpressionValue[]
  | { readonly [key: string]: ExpressionValue };

export interface ExpressionOptions {
  /** The names it may use, such as `{ e: "map" }` for a record. */
  variables: Readonly<Record<string, VariableType>>;
  /**
   * By variable of the type `map`, the types of those of its fields that are known, null apart. They are checked
   * with, and not relied on when it is evaluated. Default: none is known.
   */
  fields?: Readonly<Record<string, FieldTypes>>;
  /** `boolean` refuses, when compiled, what can only give something else. Default: any value. */
  gives?: "boolean" | "value";
}

export interface Expression {
  readonly source: string;
  /** Fields read straight from each variable, sorted: `{ f: ["orders", "spend"] }` for `f.spend / f.orders`. */
  readonly reads: Readonly<Record<string, readonly string[]>>;
  /** What it gives, null apart; `dyn`: that is known only when it is evaluated. A time is a `string`. */
  readonly gives: VariableType;
  /**
   * @throws {AppError} `unprocessable` when the data does not fit, such as text times a number. Null operands
   *   never throw: their result is null
   */
  evaluate(variables: Readonly<Record<string, unknown>>): ExpressionValue;
}

/**
 * Compiles an expression.
 *
 * @throws {AppError} `invalid` when it is too long, malformed, of the wrong type, or uses an unknown name
 */
export function compileExpression(source: string, options: ExpressionOptions): Expression {
  const { variables, fields = {}, gives = "value" } = options;
  if (source.length > MAX_EXPRESSION_LENGTH) {
    throw invalid(
      `Cannot compile the expression: it has ${source.length} characters, at most ${MAX_EXPRESSION_LENGTH} ` +
        "are accepted",
    );
  }
  try {
    const program = createEnvironment(variables).parse(source);
    const reads = rewrite(program.ast, Object.keys(variables));
    const checked = program.check();
    if (!checked.valid) throw checked.error;
    refuseResult(checked.type ?? "dyn", gives);
    const records = new Map(
      Object.entries(fields).filter(([name]) => !isUsedWhole(program.ast, name))
        .map(([name, types]) => [name, typesOfReads(reads[name] ?? [], types)]),
    );
    const type = records.size > 0 ? checkWithFields(source, { variables, records }) : checked.type;
    refuseResult(type ?? "dyn", gives);
    readNullsForMissing(program.ast);
    return {
      source,
      reads,
      gives: variableType(type ?? "dyn"),
      evaluate: (values) => evaluate(() => program(values), { source, gives }),
    };
  } catch (error) {
    throw invalid(`Cannot compile the expression ${JSON.stringify(source)}: ${celMessage(error)}`);
  }
}

function typesOfReads(reads: readonly string[], types: FieldTypes): FieldTypes {
  return Object.fromEntries(
    reads.map((field) => [field, Object.hasOwn(types, field) ? types[field]! : "dyn"]),
  );
}

/**
 * Checks the expression once more, with what is known of the fields that it reads.
 *
 * @returns the type of its value
 */
function checkWithFields(
  source: string,
  { variables, records }: {
    variables: Readonly<Record<string, VariableType>>;
    records: ReadonlyMap<string, FieldTypes>;
  },
): string | undefined {
  const check = (branches: boolean) => {
    const program = createEnvironment(variables, records).parse(source);
    rewrite(program.ast, Object.keys(variables));
    loosen(program.ast, { branches });
    return program.check();
  };
  const checked = check(false);
  if (checked.valid) return checked.type;
  // Branches of different types are no mistake: the value is of one or of the other.
  const again = check(true);
  if (again.valid) return again.type;
  throw again.error;
}

function variableType(type: string): VariableType {
  switch (type) {
    case "double":
    case "int":
    case "uint":
      return "double";
    case "string":
    case "google.protobuf.Timestamp":
      return "string";
    case "bool":
      return "bool";
    default:
      return type.startsWith("list") ? "list" : type.startsWith("map") ? "map" : "dyn";
  }
}

function refuseResult(type: string, gives: "boolean" | "value"): void {
  if (gives === "boolean" && type !== "bool" && type !== "dyn") {
    throw invalid(`it must give true or false, but gives a value of type ${type}`);
  }
  if (["type", "bytes", "google.protobuf.Duration"].includes(type)) {
    throw invalid(`a value of type ${type} cannot stand in JSON`);
  }
}

function evaluate(
  run: () => unknown,
  { source, gives }: { source: string; gives: "boolean" | "value" },
): ExpressionValue {
  const fail = (why: string) =>
    new AppError("unprocessable", `Cannot evaluate the expression ${JSON.stringify(source)}: ${why}`);
  let value: ExpressionValue;
  try {
    value = toJson(run());
  } catch (error) {
    if (isNullOperand(error)) return null;
    throw fail(celMessage(error));
  }
  if (gives === "boolean" && value !== null && typeof value !== "boolean") {
    throw fail(`it must give true or false, but gave ${JSON.stringify(value)}`);
  }
  return value;
}

const OPERAND_ERRORS = new Set([
  "no_such_overload",
  "no_matching_overload",
  "invalid_logical_operand",
  "invalid_condition_type",
  "invalid_comprehension_range",
]);

/** The library names an operand's type in its message, and the type of null only there. */
function isNullOperand(error: unknown): boolean {
  if (!(error instanceof EvaluationError)) return false;
  return error.code === "no_such_key" || (OPERAND_ERRORS.has(error.code) && /\bnull\b/.test(error.summary));
}

function toJson(value: unknown): ExpressionValue {
  switch (typeof value) {
    case "boolean":
    case "string":
      return value;
    case "number":
      return Number.isFinite(value) ? value : null;
    case "bigint":
      return Number(value);
    case "object":
      if (value === null) return null;
      if (Array.isArray(value)) return value.map(toJson);
      if (value instanceof Date) return toInstant(value.getTime());
      if (Object.getPrototypeOf(value) === Object.prototype) {
        return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, toJson(item)]));
      }
  }
  throw new TypeError("the value cannot stand in JSON");
}

/** The library's messages end with a picture of the source; the summary is the sentence alone. */
function celMessage(error: unknown): string {
  const known = error instanceof EvaluationError || error instanceof ParseError ||
    error instanceof CelTypeError;
  return known ? error.summary.replaceAll(SAFE_MATCHES, "matches") : messageOf(error);
}
