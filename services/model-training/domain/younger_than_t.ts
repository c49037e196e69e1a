import type { Hint } from "shared/contracts/model_training.ts";
import type { Dataset } from "./dataset.ts";

/** A column is taken for instants when this share of its values lies within so many years around T. */
const INSTANT_SHARE = 0.95;
const INSTANT_SPAN_MS = 20 * 365.25 * 86_400_000;
/** Smaller numbers are taken for counts and amounts. */
const FIRST_INSTANT = Date.UTC(1990, 0, 1);
/** A share below this may be clocks that differ. */
const YOUNGER_SHARE = 0.001;
/** Seconds, milliseconds, microseconds and nanoseconds since 1970 are all in use; in milliseconds each. */
const UNITS = [1_000, 1, 1e-3, 1e-6];
/** Features are float32: a number that is later by less than their grain is not later. */
const GRAIN = 2 ** -23;
/** A date, or a date and time as ISO 8601 has it; without a zone in UTC. */
const ISO_INSTANT = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d+)?)?)(Z|[+-]\d\d:?\d\d)?)?$/;

/**
 * Whether a feature knows what is later than the T of its rows: by the event times behind it where they are known, and by
 * the instants that it holds, as numbers or as texts.
 *
 * @param lead greatest of event time - T over the rows, milliseconds; undefined where no event time is known
 */
export function youngerThanT(train: Dataset, feature: number, lead: number | undefined): Hint[] {
  const name = train.featureNames[feature]!;
  if (lead !== undefined && lead > 0) {
    const message = `${name} is made of records up to ${lead / 1_000} seconds later than T: ` +
      `they had not happened then`;
    return [{ kind: "younger_than_t", feature: name, value: null, message }];
  }
  const share = shareOfLater(train, feature);
  if (share < YOUNGER_SHARE) return [];
  const held = `${name} holds instants later than T in ${(share * 100).toFixed(1)}% of the rows`;
  return [
    lead === undefined
      ? {
        kind: "younger_than_t",
        feature: name,
        value: share,
        message: `${held}: it was not known then`,
      }
      : {
        kind: "later_instants",
        feature: name,
        value: share,
        message: `${held}, though its records are not later: it is a plan, ` +
          `or a record was filled in after its time`,
      },
  ];
}

/** Of the rows that have a value, the share of those with an instant later than T; 0 where it holds no instants. */
function shareOfLater(train: Dataset, feature: number): number {
  const { times } = train;
  for (const { instants, grain } of readings(train, feature)) {
    const present = Int32Array.from(instants, (_, row) => row).filter((row) => !Number.isNaN(instants[row]));
    const isNear = (row: number) =>
      instants[row]! > FIRST_INSTANT && Math.abs(instants[row]! - times[row]!) < INSTANT_SPAN_MS;
    const near = present.filter(isNear);
    if (near.length === 0 || near.length < INSTANT_SHARE * present.length) continue;
    const younger = near.filter((row) => instants[row]! > times[row]! * (1 + grain));
    return younger.length / present.length;
  }
  return 0;
}

interface Reading {
  /** Milliseconds since 1970; NaN where there is none. */
  instants: Float64Array;
  grain: number;
}

/** What the values may mean as instants. */
function readings({ columns, dictionaries }: Dataset, feature: number): Reading[] {
  const column = columns[feature]!;
  const dictionary = dictionaries[feature]!;
  if (dictionary === null) {
    return UNITS.map((unit) => ({
      instants: Float64Array.from(column, (value) => value * unit),
      grain: GRAIN,
    }));
  }
  const parsed = dictionary.map(parseInstant);
  // What is no instant counts as a value that is far from T.
  return [{
    instants: Float64Array.from(column, (code) => code === 0 ? NaN : parsed[code - 1]!),
    grain: 0,
  }];
}

/** 0 for a text that is none. */
function parseInstant(text: string): number {
  const match = ISO_INSTANT.exec(text);
  if (match === null) return 0;
  const [, date, time = "00:00", zone = "Z"] = match;
  return Date.parse(`${date}T${time}${zone}`) || 0;
}
