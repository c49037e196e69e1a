/** What a cleaning says about windows of event time: which are kept, and what must hold for them. @module */
import {
  type CleaningBody,
  cleaningBodySchema,
  type Expectation,
  type ProfileSettings,
} from "shared/contracts/cleaning.ts";
import type { FieldProfile } from "shared/contracts/data_preprocessing.ts";
import { type Duration, durationToMs } from "shared/contracts/time.ts";
import { invalid, messageOf, type Reason } from "shared/errors.ts";
import { compileExpression } from "shared/expressions/cel.ts";
import { invalidInput } from "shared/validation.ts";

type ExpectationOf<Kind extends Expectation["expect"]> = Extract<Expectation, { expect: Kind }>;
export type WindowAction = ExpectationOf<"volume">["action"];

/** What the clean records of a window say; no fields where there is no record. */
export interface WindowFacts {
  records: number;
  fields: readonly FieldProfile[];
}

/** An expectation about each window of a length. */
export interface WindowRule {
  /** Names it among those of its source, in every version that has it. */
  key: string;
  kind: "volume" | "window";
  windowMs: number;
  action: WindowAction;
  /** Whether a window without a record is judged, too. */
  judgesEmpty: boolean;
  /** @returns why it does not hold */
  judge(window: WindowFacts): string | undefined;
}

/** How far the newest record may lie behind the project's clock. */
export interface FreshnessRule {
  key: string;
  maxMs: number;
  max: Duration;
  action: WindowAction;
}

export interface WindowRules {
  profile: ProfileSettings;
  profileMs: number;
  /** The lengths of the windows to keep, ascending; `statistics`: of the values too, and not only the count. */
  lengths: readonly { ms: number; statistics: boolean }[];
  windows: readonly WindowRule[];
  freshness: readonly FreshnessRule[];
}

/** A source with a record a second and windows of this length makes 1,440 windows a day: enough for anybody. */
const SHORTEST_MS = 60_000;

/**
 * Compiles the profile settings of a cleaning and its expectations about windows.
 *
 * @throws {AppError} `invalid` with every mistake in lengths, bounds and expressions, by its place in the body
 */
export function compileWindowRules(body: CleaningBody): WindowRules {
  const { profile, expectations } = cleaningBodySchema.parse(body);
  const reasons: Reason[] = [];
  const windows: WindowRule[] = [];
  const freshness: FreshnessRule[] = [];
  const at = (path: string, compile: () => void) => {
    try {
      compile();
    } catch (error) {
      reasons.push({ path, message: messageOf(error) });
    }
  };
  at("/profile/window", () => windowLength(profile.window));
  expectations.forEach((one, index) =>
    at(`/expectations/${index}`, () => {
      if (one.expect === "volume") windows.push(volumeRule(one));
      else if (one.expect === "window") windows.push(expressionRule(one));
      else if (one.expect === "freshness") freshness.push(freshnessRule(one));
    })
  );
  if (reasons.length > 0) throw invalidInput("use the cleaning", reasons);
  const profileMs = durationToMs(profile.window);
  return { profile, profileMs, lengths: lengthsOf(profileMs, windows), windows, freshness };
}

/** Of a source without a cleaning: a profile a day. */
export const DEFAULT_RULES: WindowRules = compileWindowRules(cleaningBodySchema.parse({}));

function lengthsOf(profileMs: number, rules: readonly WindowRule[]): WindowRules["lengths"] {
  const lengths = new Map([[profileMs, true]]);
  for (const { windowMs, kind } of rules) {
    lengths.set(windowMs, kind === "window" || lengths.get(windowMs) === true);
  }
  return [...lengths].map(([ms, statistics]) => ({ ms, statistics })).sort((a, b) => a.ms - b.ms);
}

function windowLength(window: Duration): number {
  const ms = durationToMs(window);
  if (ms < SHORTEST_MS) throw invalid(`has a window of ${window}: it must be at least PT1M`);
  return ms;
}

/** An expectation stays the same one when only its action changes. */
function keyOf({ action: _, ...expectation }: Expectation): string {
  return JSON.stringify(expectation);
}

function volumeRule(expectation: ExpectationOf<"volume">): WindowRule {
  const { window, min, max, action } = expectation;
  if (min === undefined && max === undefined) throw invalid("must have a min or a max");
  if (min !== undefined && max !== undefined && min > max) {
    throw invalid(`has the min ${min} above the max ${max}`);
  }
  return {
    key: keyOf(expectation),
    kind: "volume",
    windowMs: windowLength(window),
    action,
    judgesEmpty: true,
    judge({ records }) {
      if (min !== undefined && records < min) return `has ${records} records, and must have at least ${min}`;
      if (max !== undefined && records > max) return `has ${records} records, and must have at most ${max}`;
      return undefined;
    },
  };
}

function freshnessRule(expectation: ExpectationOf<"freshness">): FreshnessRule {
  const { max, action } = expectation;
  const maxMs = durationToMs(max);
  if (maxMs === 0) throw invalid("has a max of no length: the clock is always ahead of some record");
  return { key: keyOf(expectation), maxMs, max, action };
}

const QUANTILES = ["p01", "p05", "p25", "p50", "p75", "p95", "p99"] as const;
const MEASURES = ["nulls", "distinct", "min", "max", "mean", "deviation", ...QUANTILES] as const;
type Measure = typeof MEASURES[number];

function expressionRule(expectation: ExpectationOf<"window">): WindowRule {
  const { window, expression: source, message, action } = expectation;
  const expression = compileExpression(source, { variables: { w: "map" }, gives: "boolean" });
  const known: readonly string[] = ["count", ...MEASURES];
  const unknown = (expression.reads["w"] ?? []).filter((name) => !known.includes(name));
  if (unknown.length > 0) throw invalid(`reads w.${unknown.join(" and w.")}: w has ${known.join(", ")}`);
  return {
    key: keyOf(expectation),
    kind: "window",
    windowMs: windowLength(window),
    action,
    judgesEmpty: false,
    judge(facts) {
      try {
        return expression.evaluate({ w: variableOf(facts) }) === false ? message : undefined;
      } catch (error) {
        return `${message}: ${messageOf(error)}`;
      }
    },
  };
}

/** The window as expressions see it: each measure by field. What a field has no value for is missing, and so null. */
function variableOf({ records, fields }: WindowFacts): Record<string, unknown> {
  const measures = Object.fromEntries(
    MEASURES.map((measure): [Measure, Record<string, number>] => [measure, {}]),
  ) as Record<Measure, Record<string, number>>;
  for (const { field, nulls, distinct, numbers } of fields) {
    measures.nulls[field] = nulls;
    measures.distinct[field] = distinct;
    if (numbers === null) continue;
    for (const measure of ["min", "max", "mean", "deviation"] as const) {
      measures[measure][field] = numbers[measure];
    }
    for (const quantile of QUANTILES) measures[quantile][field] = numbers.quantiles[quantile];
  }
  return { count: records, ...measures };
}
