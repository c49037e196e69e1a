/**
 * Reading a value of unknown shape by a zod schema, with every mistake told as a {@link Reason}.
 *
 * @module
 */
import type { z } from "zod";
import { invalid, type Reason } from "./errors.ts";
import { pathOf } from "./reason_text.ts";

/**
 * The value as the schema gives it.
 *
 * @param action what can't be done when the value is wrong, such as `answer alert.v1.alerts`
 * @throws {AppError} `invalid`, with all the reasons
 */
export function parseWith<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  action: string,
): z.output<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw invalidInput(action, reasonsOf(result.error));
}

/**
 * The error that tells of mistakes in an input: a single one stands in the message itself.
 *
 * @param mistakes how many there are, where the reasons tell of some only
 */
export function invalidInput(action: string, reasons: readonly Reason[], mistakes = reasons.length): Error {
  const [only] = reasons;
  if (only !== undefined && mistakes === 1) {
    return invalid(`Cannot ${action}: ${only.path || "the input"} ${only.message}`, reasons);
  }
  const listed = mistakes > reasons.length ? `, the first ${reasons.length} of which are listed` : "";
  return invalid(`Cannot ${action}: ${mistakes} fields are wrong${listed}`, reasons);
}

/**
 * The error of a field that says otherwise than the address of its request.
 *
 * @param where the address is called, such as `path`
 */
export function otherInAddress(
  action: string,
  { name, given, said, where }: { name: string; given: unknown; said: string; where: string },
): Error {
  // Lists may be nested deeper than can be written.
  const shown = typeof given === "object" && given !== null
    ? Array.isArray(given) ? "a list" : "an object"
    : `"${given}"`;
  return invalidInput(action, [{
    path: `/${name}`,
    message: `is "${said}" in the ${where}, but ${shown} in the request`,
  }]);
}

/** Every mistake that zod found; where it stands is a JSON pointer (`/rows/3/price`, empty for the whole). */
export function reasonsOf(error: z.ZodError): Reason[] {
  return error.issues.flatMap((issue) => reasonsOfIssue(issue, []));
}

type Issue = z.core.$ZodIssue;

function reasonsOfIssue(issue: Issue, parent: readonly PropertyKey[]): Reason[] {
  const path = [...parent, ...issue.path];
  if (issue.code === "invalid_key") {
    return [{ path: pointer(path), message: `has a name that ${withoutPrefix(issue.issues[0]!.message)}` }];
  }
  if (issue.code === "invalid_union" && issue.errors.length > 0) return reasonsOfUnion(issue.errors, path);
  return [{ path: pointer(path), message: withoutPrefix(issue.message) }];
}

/**
 * A union fails in as many ways as it has branches. The branch that was meant is the one whose outer shape
 * fits, with the fewest mistakes, of equals the one whose named values are as given (`aggregate: "sum"`); where none
 * fits, what all of them accept is told in one reason.
 */
function reasonsOfUnion(unions: readonly Issue[][], path: readonly PropertyKey[]): Reason[] {
  const branches = unions.flatMap(branchesOf);
  const fitting = branches.filter((issues) => issues.every((issue) => issue.path.length > 0));
  const [meant] = fitting.toSorted((a, b) => a.length - b.length || otherValues(a) - otherValues(b));
  if (meant !== undefined) return meant.flatMap((issue) => reasonsOfIssue(issue, path));
  const accepted = branches.flatMap((issues) => issues.map((issue) => withoutPrefix(issue.message)));
  return [{ path: pointer(path), message: [...new Set(accepted)].join(", or ") }];
}

/** Of a branch that is a union itself, its branches. */
function branchesOf(issues: Issue[]): Issue[][] {
  const [only, ...others] = issues;
  const isUnion = only?.code === "invalid_union" && only.path.length === 0 && others.length === 0;
  return isUnion && only.errors.length > 0 ? only.errors.flatMap(branchesOf) : [issues];
}

const otherValues = (issues: readonly Issue[]) =>
  issues.filter(({ code }) => code === "invalid_value").length;

/** zod's "Invalid input: expected number" reads on from a field's name as "expected number". */
function withoutPrefix(message: string): string {
  return message.replace(/^Invalid (?:input|option): /, "");
}

function pointer(path: readonly PropertyKey[]): string {
  return path.map((step) => pathOf(String(step))).join("");
}
