/**
 * The assertions of `@std/assert` that our tests use, under its names and signatures, on `node:assert/strict`.
 *
 * `@std/assert` is published on JSR only, which not every machine reaches; docs/CONVENTIONS.md says how to
 * use the original instead. Where the two differ, these are the stricter: prototypes, `0` and `-0`, and
 * properties that are `undefined` count as differences.
 *
 * @module
 */
import { AssertionError, deepStrictEqual, match, notDeepStrictEqual, strictEqual } from "node:assert/strict";
import { inspect } from "node:util";

export { AssertionError };

// deno-lint-ignore no-explicit-any -- a class is named by whatever its constructor takes
type AnyConstructor = new (...args: any[]) => any;
// deno-lint-ignore no-explicit-any -- same; abstract classes have instances too
type ErrorClass<E extends Error> = abstract new (...args: any[]) => E;

/** Throws an {@link AssertionError}. */
export function fail(message?: string): never {
  throw new AssertionError({ message: message ?? "Failed assertion" });
}

/** Marks a place that must not be reached. */
export function unreachable(reason?: string): never {
  fail(reason ?? "Unreachable code was reached");
}

export function assert(condition: unknown, message?: string): asserts condition {
  if (!condition) fail(message);
}

export function assertFalse(
  condition: unknown,
  message?: string,
): asserts condition is false | 0 | 0n | "" | null | undefined {
  if (condition) fail(message ?? `Expected a false value: got ${inspect(condition)}`);
}

/** Deep equality. */
export function assertEquals<T>(actual: T, expected: T, message?: string): void {
  withMessage(message, () => deepStrictEqual(actual, expected));
}

/** Not deeply equal. */
export function assertNotEquals<T>(actual: T, expected: T, message?: string): void {
  withMessage(message, () => notDeepStrictEqual(actual, expected));
}

/** The same value by `Object.is`. */
export function assertStrictEquals<T>(actual: unknown, expected: T, message?: string): asserts actual is T {
  withMessage(message, () => strictEqual(actual, expected));
}

export function assertExists<T>(actual: T, message?: string): asserts actual is NonNullable<T> {
  if (actual === undefined || actual === null) {
    fail(message ?? `Expected a value that is neither null nor undefined: got ${actual}`);
  }
}

/** Equal within `tolerance`; without one, within 1e-7 of the expected value (1e-7 itself around zero). */
export function assertAlmostEquals(
  actual: number,
  expected: number,
  tolerance?: number,
  message?: string,
): void {
  if (Object.is(actual, expected)) return;
  const accepted = tolerance ?? (expected === 0 ? 1e-7 : Math.abs(expected) * 1e-7);
  const difference = Math.abs(actual - expected);
  // Negated, so that NaN fails.
  if (!(difference <= accepted)) {
    fail(message ?? `Expected ${actual} to be within ${accepted} of ${expected}: it is ${difference} away`);
  }
}

export function assertMatch(actual: string, expected: RegExp, message?: string): void {
  withMessage(message, () => match(actual, expected));
}

export function assertStringIncludes(actual: string, expected: string, message?: string): void {
  if (!actual.includes(expected)) {
    fail(message ?? `Expected the text to contain ${inspect(expected)}: got ${inspect(actual)}`);
  }
}

/** Every expected item is, by deep equality, among the actual ones; the order does not matter. */
export function assertArrayIncludes<T>(
  actual: ArrayLike<T>,
  expected: ArrayLike<T>,
  message?: string,
): void {
  const present = Array.from(actual);
  const missing = Array.from(expected).filter((item) => !present.some((other) => isEqual(other, item)));
  if (missing.length > 0) {
    fail(message ?? `Expected the array to contain ${inspect(missing)}: got ${inspect(present)}`);
  }
}

/**
 * Every expected property is there and equal; other properties do not matter, at any depth.
 * Arrays must be of equal length.
 */
export function assertObjectMatch(
  // deno-lint-ignore no-explicit-any -- interfaces have no index signature, and are objects all the same
  actual: Record<PropertyKey, any>,
  expected: Record<PropertyKey, unknown>,
  message?: string,
): void {
  withMessage(message, () => deepStrictEqual(narrowedTo(actual, expected), expected));
}

export function assertGreater<T>(actual: T, expected: T, message?: string): void {
  if (!(actual > expected)) fail(message ?? `Expected ${inspect(actual)} > ${inspect(expected)}`);
}

export function assertGreaterOrEqual<T>(actual: T, expected: T, message?: string): void {
  if (!(actual >= expected)) fail(message ?? `Expected ${inspect(actual)} >= ${inspect(expected)}`);
}

export function assertLess<T>(actual: T, expected: T, message?: string): void {
  if (!(actual < expected)) fail(message ?? `Expected ${inspect(actual)} < ${inspect(expected)}`);
}

export function assertLessOrEqual<T>(actual: T, expected: T, message?: string): void {
  if (!(actual <= expected)) fail(message ?? `Expected ${inspect(actual)} <= ${inspect(expected)}`);
}

export function assertInstanceOf<T extends AnyConstructor>(
  actual: unknown,
  expectedType: T,
  message?: string,
): asserts actual is InstanceType<T> {
  if (!(actual instanceof expectedType)) {
    fail(message ?? `Expected an instance of ${expectedType.name}: got ${inspect(actual)}`);
  }
}

/** `fn` throws; with a class and a text, an error of that class whose message contains the text. */
export function assertThrows(fn: () => unknown, message?: string): unknown;
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  errorClass: ErrorClass<E>,
  messageIncludes?: string,
  message?: string,
): E;
export function assertThrows(
  fn: () => unknown,
  errorClassOrMessage?: ErrorClass<Error> | string,
  messageIncludes?: string,
  message?: string,
): unknown {
  const expected = expectation(errorClassOrMessage, messageIncludes, message);
  try {
    fn();
  } catch (error) {
    checkError(error, expected);
    return error;
  }
  fail(expected.message ?? "Expected the function to throw");
}

/** The promise of `fn` rejects; with a class and a text, as for {@link assertThrows}. */
export function assertRejects(fn: () => PromiseLike<unknown>, message?: string): Promise<unknown>;
export function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  errorClass: ErrorClass<E>,
  messageIncludes?: string,
  message?: string,
): Promise<E>;
export async function assertRejects(
  fn: () => PromiseLike<unknown>,
  errorClassOrMessage?: ErrorClass<Error> | string,
  messageIncludes?: string,
  message?: string,
): Promise<unknown> {
  const expected = expectation(errorClassOrMessage, messageIncludes, message);
  let promise: PromiseLike<unknown>;
  try {
    promise = fn();
  } catch (error) {
    fail(`Expected a rejected promise: the function threw ${inspect(error)}`);
  }
  try {
    await promise;
  } catch (error) {
    checkError(error, expected);
    return error;
  }
  fail(expected.message ?? "Expected the promise to reject");
}

interface ErrorExpectation {
  errorClass: ErrorClass<Error> | undefined;
  messageIncludes: string | undefined;
  message: string | undefined;
}

function expectation(
  errorClassOrMessage: ErrorClass<Error> | string | undefined,
  messageIncludes: string | undefined,
  message: string | undefined,
): ErrorExpectation {
  return typeof errorClassOrMessage === "string"
    ? { errorClass: undefined, messageIncludes: undefined, message: errorClassOrMessage }
    : { errorClass: errorClassOrMessage, messageIncludes, message };
}

function checkError(error: unknown, { errorClass, messageIncludes, message }: ErrorExpectation): void {
  if (!errorClass) return;
  if (!(error instanceof errorClass)) {
    fail(message ?? `Expected an error of class ${errorClass.name}: got ${inspect(error)}`);
  }
  if (messageIncludes !== undefined && !error.message.includes(messageIncludes)) {
    fail(
      message ??
        `Expected the error's message to contain ${inspect(messageIncludes)}: got ${inspect(error.message)}`,
    );
  }
}

/** Puts the caller's message before the differences that node:assert prints, which it would replace. */
function withMessage(message: string | undefined, check: () => void): void {
  if (message === undefined) return check();
  try {
    check();
  } catch (error) {
    fail(`${message}: ${(error as Error).message}`);
  }
}

function isEqual(left: unknown, right: unknown): boolean {
  try {
    deepStrictEqual(left, right);
    return true;
  } catch {
    return false;
  }
}

/** `actual` without the properties that `expected` does not name. */
function narrowedTo(actual: unknown, expected: unknown): unknown {
  if (Array.isArray(actual) && Array.isArray(expected)) {
    return actual.map((item, index) => index < expected.length ? narrowedTo(item, expected[index]) : item);
  }
  if (!isPlainObject(actual) || !isPlainObject(expected)) return actual;
  const narrowed: Record<PropertyKey, unknown> = Object.create(Object.getPrototypeOf(expected));
  for (const key of Reflect.ownKeys(expected)) {
    if (key in actual) narrowed[key] = narrowedTo(actual[key], expected[key]);
  }
  return narrowed;
}

/** Objects compared by their properties, and not by what they are (dates, maps, bytes). */
function isPlainObject(value: unknown): value is Record<PropertyKey, unknown> {
  return Object.prototype.toString.call(value) === "[object Object]";
}
