import { invalid, type Reason } from "shared/errors.ts";

/** One number an algorithm can be told: its default, and the range it may be chosen from. */
export interface ParameterSpec {
  readonly description: string;
  readonly default: number;
  readonly min: number;
  readonly max: number;
  /** Whether only whole numbers are accepted; default: no. */
  readonly integer?: boolean;
}

export type ParameterSpecs = Readonly<Record<string, ParameterSpec>>;
export type ParametersOf<Specs extends ParameterSpecs> = { readonly [Name in keyof Specs]: number };

/**
 * Every parameter of the algorithm: as given, else by default.
 *
 * @throws {AppError} `invalid` with a reason for each unknown name and each value out of range
 */
export function resolveParameters<Specs extends ParameterSpecs>(
  algorithm: string,
  specs: Specs,
  given: Readonly<Record<string, unknown>>,
): ParametersOf<Specs> {
  const reasons: Reason[] = [];
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(specs, name)) {
      reasons.push({
        path: `/${name}`,
        message: `is unknown: it must be one of ${Object.keys(specs).join(", ")}`,
      });
    }
  }
  const resolved: Record<string, number> = {};
  for (const [name, spec] of Object.entries(specs)) {
    const value = Object.hasOwn(given, name) ? given[name] : spec.default;
    if (accepts(spec, value)) resolved[name] = value;
    else {
      const kind = spec.integer ? "a whole number" : "a number";
      reasons.push({
        path: `/${name}`,
        message: `is ${value}: it must be ${kind} from ${spec.min} to ${spec.max}`,
      });
    }
  }
  if (reasons.length > 0) {
    const first = reasons[0]!;
    throw invalid(
      `Cannot use the parameters of ${algorithm}: ${first.path.slice(1)} ${first.message}`,
      reasons,
    );
  }
  return resolved as ParametersOf<Specs>;
}

function accepts(spec: ParameterSpec, value: unknown): value is number {
  return typeof value === "number" && value >= spec.min && value <= spec.max &&
    (!spec.integer || Number.isInteger(value));
}
