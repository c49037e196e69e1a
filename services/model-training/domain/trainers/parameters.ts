import type { z } from "zod";
import { closed } from "shared/contracts/closed.ts";
import { type Parameters, parametersSchema } from "shared/contracts/model_training.ts";
import { invalid, type Reason } from "shared/errors.ts";
import { reasonsOf } from "shared/validation.ts";

/**
 * Every parameter of the algorithm: as given, else by default.
 *
 * @throws {AppError} `invalid` with a reason for each unknown name and each value out of range
 */
export function resolveParameters<Schema extends z.ZodObject>(
  algorithm: string,
  schema: Schema,
  given: Readonly<Record<string, unknown>>,
): z.output<Schema> {
  const parsed = closed(schema).safeParse(given);
  if (parsed.success) return parsed.data;
  const all = reasonsOf(parsed.error);
  const isKnown = ({ path }: Reason) => Object.hasOwn(schema.shape, path.split("/")[1]!);
  const wrong = all.filter(isKnown).map(({ path, message }): Reason => {
    const value = valueAt(given, path);
    return { path, message: value === undefined ? message : `is ${JSON.stringify(value)}: ${message}` };
  });
  const reasons = [...all.filter((reason) => !isKnown(reason)), ...wrong];
  const [first] = reasons;
  throw invalid(
    `Cannot use the parameters of ${algorithm}: ${first!.path.slice(1)} ${first!.message}`,
    reasons,
  );
}

/** @param path a JSON pointer; undefined where it leads to nothing */
function valueAt(given: unknown, path: string): unknown {
  const steps = path.split("/").slice(1).map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
  return steps.reduce<unknown>(
    (value, step) => typeof value === "object" && value !== null ? Reflect.get(value, step) : undefined,
    given,
  );
}

/** The same as they are kept with a run: plain data. */
export const plainParameters = (resolved: object): Parameters => parametersSchema.parse(resolved);
