import { Environment } from "@marcbachmann/cel-js";
import { compilePattern, type Pattern } from "./pattern.ts";

/** The type of a variable: `map` for a record, `dyn` for a value known only when evaluated. */
export type VariableType = "map" | "dyn" | "double" | "string" | "bool" | "list";

/** The name under which {@link rewrite} puts our `matches`, for the library's own cannot be replaced. */
export const SAFE_MATCHES = "matchesRe2";
/** The same for `getDayOfYear`, which the library computes in the time zone of the process. */
export const UTC_DAY_OF_YEAR = "getUtcDayOfYear";

const DAY_MS = 86_400_000;

/** The types of a record's fields, of all that are read. */
export type FieldTypes = Readonly<Record<string, VariableType>>;

/**
 * An environment for one expression: its variables, and the functions that {@link rewrite} relies on.
 *
 * @param records the fields of variables that are records; only to check with, not to evaluate
 */
export function createEnvironment(
  variables: Readonly<Record<string, VariableType>>,
  records: ReadonlyMap<string, FieldTypes> = new Map(),
): Environment {
  const environment = new Environment({ homogeneousAggregateLiterals: false });
  for (const [name, type] of Object.entries(variables)) {
    const fields = records.get(name);
    if (fields === undefined) {
      environment.registerVariable(name, type);
    } else {
      environment.registerType(`Record_${name}`, { fields });
      environment.registerVariable(name, `Record_${name}`);
    }
  }

  const patterns = new Map<string, Pattern>();
  const patternOf = (source: string) => {
    const pattern = patterns.get(source) ?? compilePattern(source);
    patterns.set(source, pattern);
    return pattern;
  };
  const sync = { async: false };
  return environment
    .registerOperator("double % double", (left: number, right: number) => left % right)
    .registerFunction(
      `string.${SAFE_MATCHES}(string): bool`,
      (text: string, pattern: string) => patternOf(pattern).test(text),
      sync,
    )
    .registerFunction(
      `google.protobuf.Timestamp.${UTC_DAY_OF_YEAR}(): int`,
      (time: Date) => BigInt(Math.floor((time.getTime() - Date.UTC(time.getUTCFullYear(), 0, 1)) / DAY_MS)),
      sync,
    )
    // Positions are doubles here, as every number is; the library knows them as integers.
    .registerFunction(
      "string.substring(double): string",
      (text: string, start: number) => text.substring(start),
      sync,
    )
    .registerFunction(
      "string.substring(double, double): string",
      (text: string, start: number, end: number) => text.substring(start, end),
      sync,
    )
    .registerFunction(
      "timestamp(double): google.protobuf.Timestamp",
      (seconds: number) => new Date(seconds * 1000),
      sync,
    );
}
