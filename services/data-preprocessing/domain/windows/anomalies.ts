/** What is strange about a window, beside the one before it. @module */
import type { ProfileSettings } from "shared/contracts/cleaning.ts";
import type { FieldProfile, Profile } from "shared/contracts/data_preprocessing.ts";
import type { WindowFacts } from "./rules.ts";

/** `field` is empty where it is about the window as a whole. */
export type Anomaly = Profile["anomalies"][number];

/** More would not help anybody. */
const MAX_ANOMALIES = 100;

/** Whether the two hold enough records for a comparison to mean anything. */
export function areComparable(now: WindowFacts, before: WindowFacts, { minRows }: ProfileSettings): boolean {
  return now.records >= minRows && before.records >= minRows;
}

/**
 * What changed from one window to the next beyond the bounds of the settings: the number of records (`volume`), fields
 * that came or went (`appeared`, `vanished`), types that were not there (`type`), the share of nulls (`nulls`) and
 * the mean (`mean`). Nothing where one of the two holds too few records.
 */
export function compareWindows(now: WindowFacts, before: WindowFacts, settings: ProfileSettings): Anomaly[] {
  if (!areComparable(now, before, settings)) return [];
  const earlier = new Map(before.fields.map((field) => [field.field, field]));
  const names = new Set([...now.fields, ...before.fields].map(({ field }) => field));
  const later = new Map(now.fields.map((field) => [field.field, field]));
  const anomalies = [...names].toSorted().flatMap((name) =>
    compareFields(
      name,
      { window: now, field: later.get(name) },
      { window: before, field: earlier.get(name) },
      settings,
    )
  );
  return [...compareVolumes(now, before, settings), ...anomalies].slice(0, MAX_ANOMALIES);
}

function compareVolumes(now: WindowFacts, before: WindowFacts, { volume }: ProfileSettings): Anomaly[] {
  const ratio = now.records / before.records;
  if (ratio <= volume && 1 / ratio <= volume) return [];
  const message = `has ${now.records} records, after ${before.records} in the window before`;
  return [{ field: "", kind: "volume", message }];
}

interface FieldInWindow {
  window: WindowFacts;
  field: FieldProfile | undefined;
}

function compareFields(
  field: string,
  now: FieldInWindow,
  before: FieldInWindow,
  settings: ProfileSettings,
): Anomaly[] {
  const anomaly = (kind: string, message: string): Anomaly => ({ field, kind, message });
  const [values, valuesBefore] = [valuesOf(now), valuesOf(before)];
  if (values > 0 && valuesBefore === 0) {
    return [anomaly("appeared", `has ${values} values, after none in the window before`)];
  }
  if (values === 0 && valuesBefore > 0) {
    return [anomaly("vanished", `has no value, after ${valuesBefore} in the window before`)];
  }
  if (now.field === undefined || before.field === undefined || values === 0) return [];

  const anomalies: Anomaly[] = [];
  const known = before.field.types;
  const types = Object.entries(now.field.types).filter(([type]) => known[type] === undefined);
  for (const [type, count] of types) {
    anomalies.push(
      anomaly("type", `has ${count} values of type ${type}, after ${Object.keys(known).join(" and ")} only`),
    );
  }
  const share = now.field.nulls / now.window.records;
  const shareBefore = before.field.nulls / before.window.records;
  if (Math.abs(share - shareBefore) > settings.nullShare) {
    anomalies.push(
      anomaly("nulls", `is null in ${percent(share)} of the records, after ${percent(shareBefore)}`),
    );
  }
  const shift = meanShift(now.field, before.field);
  if (shift !== undefined && shift > settings.shift) {
    const { mean, deviation } = before.field.numbers!;
    anomalies.push(
      anomaly(
        "mean",
        `has the mean ${rounded(now.field.numbers!.mean)}, after ${rounded(mean)} with a deviation of ` +
          rounded(deviation),
      ),
    );
  }
  return anomalies;
}

function valuesOf({ window, field }: FieldInWindow): number {
  return field === undefined ? 0 : window.records - field.nulls;
}

/** How many deviations of the window before the mean moved; of what moves by itself nothing. */
function meanShift(now: FieldProfile, before: FieldProfile): number | undefined {
  if (!isOfNumbers(now) || !isOfNumbers(before) || countsUp(now, before)) return undefined;
  const distance = Math.abs(now.numbers.mean - before.numbers.mean);
  if (distance === 0) return 0;
  return before.numbers.deviation === 0 ? Infinity : distance / before.numbers.deviation;
}

type FieldOfNumbers = FieldProfile & { numbers: NonNullable<FieldProfile["numbers"]> };

/** Instants are later from window to window: no shift of theirs is strange. */
function isOfNumbers(field: FieldProfile): field is FieldOfNumbers {
  return field.numbers !== null && field.types["number"] !== undefined;
}

/** As numbers given one after the other do: each once, whole, and higher than all that were given before. */
function countsUp(now: FieldOfNumbers, before: FieldOfNumbers): boolean {
  return now.numbers.min >= before.numbers.max &&
    [now, before].every(({ distinct, numbers: { count, min, max } }) =>
      distinct >= 0.95 * count && Number.isInteger(min) && Number.isInteger(max)
    );
}

const percent = (share: number) => `${(100 * share).toFixed(1)}%`;
const rounded = (value: number) => String(Number(value.toPrecision(4)));
