/** Which fields of a file name its records together, where none does so alone. @module */
import type { DataRecord } from "shared/contracts/envelope.ts";
import { isKeyName, isTimeName, snakeCase } from "./names.ts";
import { UniqueValues } from "./unique_values.ts";

/** Fields whose combinations are looked at: the first of those that are called so. */
const MOST_FIELDS = 6;
const MOST_TOGETHER = 3;
/** By then most fields that are not unique have shown it. */
const PRUNED_AFTER = 1_000;

interface Candidate {
  fields: readonly string[];
  values: UniqueValues;
}

/** Follows combinations of two and three fields until one of their values comes twice. */
export class CompositeKeys {
  #candidates: Candidate[] | undefined;
  #records = 0;

  /** @param isUnique whether a field alone is unique so far */
  add(record: DataRecord, isUnique: (field: string) => boolean): void {
    this.#candidates ??= candidatesAmong(Object.keys(record));
    this.#candidates = this.#candidates.filter(({ fields, values }) => {
      const parts = fields.map((field) => record[field]);
      if (parts.some((part) => part === null || part === undefined || part === "")) return false;
      values.add(JSON.stringify(parts));
      return values.areUnique;
    });
    if (++this.#records === PRUNED_AFTER) this.#prune(isUnique);
  }

  /** Unique combinations, the shortest first. */
  get unique(): readonly (readonly string[])[] {
    return (this.#candidates ?? []).map(({ fields }) => fields);
  }

  /** What is longer than it need be says nothing more, and takes memory. */
  #prune(isUnique: (field: string) => boolean): void {
    const shorter: Candidate[] = [];
    for (const candidate of this.#candidates ?? []) {
      const { fields } = candidate;
      const isLonger = fields.some(isUnique) ||
        shorter.some((other) => other.fields.every((field) => fields.includes(field)));
      if (!isLonger) shorter.push(candidate);
    }
    this.#candidates = shorter;
  }
}

function candidatesAmong(fields: readonly string[]): Candidate[] {
  const named = fields.filter((field) => isKeyName(snakeCase(field)) || isTimeName(snakeCase(field)))
    .slice(0, MOST_FIELDS);
  const together: string[][] = [[]];
  for (const field of named) together.push(...together.map((others) => [...others, field]));
  return together
    .filter(({ length }) => length >= 2 && length <= MOST_TOGETHER)
    .sort((a, b) => a.length - b.length)
    .map((fields) => ({ fields, values: new UniqueValues() }));
}
