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

/** Whether a feature holds instants, as numbers or as texts, that are later than the T of their rows. */
export function youngerThanT(train: Dataset, feature: number): Hint[] {
  const { times, featureNames } = train;
  const name = featureNames[feature]!;
  for (const { instants, grain } of readings(train, feature)) {
    const present = Int32Array.from(instants, (_, row) => row).filter((row) => !Number.isNaN(instants[row]));
    const isNear = (row: number) =>
      instants[row]! > FIRST_INSTANT && Math.abs(instants[row]! - times[row]!) < INSTANT_SPAN_MS;
    const near = present.filter(isNear);
    if (near.length === 0 || near.length < INSTANT_SHARE * present.length) continue;
    const younger = near.filter((row) => instants[row]! > times[row]! * (1 + grain));
    const share = younger.length / present.length;
    if (share < YOUNGER_SHARE) return [];
    const message = `${name} holds instants later than T in ${(share * 100).toFixed(1)}% of the rows: ` +
      `it was not known then`;
    return [{ kind: "younger_than_t", feature: name, value: share, message }];
  }
  return [];
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
