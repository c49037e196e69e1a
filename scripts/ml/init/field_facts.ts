/** What the values of one field of a file are like, found in one pass and in bounded memory. @module */
import type { FieldProfile } from "shared/contracts/data_preprocessing.ts";
import { createFieldStatistics } from "shared/statistics/field_statistics.ts";
import { PersonalShapes } from "./personal_data.ts";
import { type Reading, READINGS, type Scalar } from "./readings.ts";
import { TextShapes } from "./text_shapes.ts";
import { UniqueValues } from "./unique_values.ts";

/** A reading is given up when it fails for more than so many values, and for more than this share of them. */
const MOST_FAILURES = 20;
const MOST_FAILING_SHARE = 0.02;
/** So many different values are listed. */
const MOST_LISTED = 30;
/** What people write for nothing. */
const NULL_WORDS = new Set(["na", "n/a", "nan", "null", "none", "nil", "\\n", "?", "-"]);
const LONGEST_NULL_WORD = 4;
const MOST_NULL_WORDS = 5;

/** How well a reading fits. */
export interface Fit {
  reading: Reading;
  failures: number;
  /** A value that it does not fit. */
  counterexample: Scalar | undefined;
  /** Whether each value stays as it is. */
  unchanged: boolean;
  /** Of numbers, and of instants that are texts. */
  min: number | string | undefined;
  max: number | string | undefined;
}

export class FieldFacts {
  /** Records that have the field, null or not. */
  present = 0;
  /** Records in which it is null. */
  nulls = 0;
  /** Texts with nothing in them but spaces. */
  blanks = 0;
  /** Texts with spaces at an end. */
  padded = 0;
  /** Arrays and objects. */
  nested = 0;
  readonly unique = new UniqueValues();
  readonly shapes = new TextShapes();
  readonly personal = new PersonalShapes();
  readonly #statistics = createFieldStatistics();
  readonly #nullWords = new Map<string, number>();
  #values: Map<Scalar, number> | undefined = new Map();
  #fits: Fit[] = READINGS.map((reading) => ({
    reading,
    failures: 0,
    counterexample: undefined,
    unchanged: true,
    min: undefined,
    max: undefined,
  }));
  /** Values that readings were tried on. */
  #tried = 0;

  add(value: unknown): void {
    this.present++;
    this.#statistics.add(value);
    if (value === null) this.nulls++;
    else if (typeof value === "object") this.nested++;
    else if (isScalar(value)) this.#addScalar(value);
  }

  #addScalar(raw: Scalar): void {
    let value = raw;
    if (typeof raw === "string") {
      const text = raw.trim();
      if (text !== raw) this.padded++;
      if (text === "") {
        this.blanks++;
        return;
      }
      this.shapes.add(text);
      value = text;
    }
    this.unique.add(String(value));
    this.personal.add(String(value));
    this.#list(value);
    if (this.#isNullWord(value)) return;
    this.#tried++;
    if (this.#fits.length > 0) this.#tryReadings(raw, value);
  }

  #list(value: Scalar): void {
    if (this.#values === undefined) return;
    this.#values.set(value, (this.#values.get(value) ?? 0) + 1);
    if (this.#values.size > MOST_LISTED) this.#values = undefined;
  }

  #isNullWord(value: Scalar): boolean {
    if (typeof value !== "string" || value.length > LONGEST_NULL_WORD) return false;
    if (!NULL_WORDS.has(value.toLowerCase())) return false;
    if (!this.#nullWords.has(value) && this.#nullWords.size >= MOST_NULL_WORDS) return false;
    this.#nullWords.set(value, (this.#nullWords.get(value) ?? 0) + 1);
    return true;
  }

  #tryReadings(raw: Scalar, value: Scalar): void {
    let gaveUp = false;
    for (const fit of this.#fits) {
      const read = fit.reading.read(value);
      if (read === undefined) {
        fit.failures++;
        fit.counterexample ??= value;
        gaveUp ||= isGivenUp(fit, this.#tried);
        continue;
      }
      fit.unchanged &&= read === raw;
      if (typeof read === "boolean") continue;
      if (fit.min === undefined || read < fit.min) fit.min = read;
      if (fit.max === undefined || read > fit.max) fit.max = read;
    }
    if (gaveUp) this.#fits = this.#fits.filter((fit) => !isGivenUp(fit, this.#tried));
  }

  /** Values that are neither null nor blank nor nested. */
  get values(): number {
    return this.present - this.nulls - this.blanks - this.nested;
  }

  /** Words for nothing among the values, and how often they come. */
  get nullWords(): ReadonlyMap<string, number> {
    return this.#nullWords;
  }

  /** The values and how often they come, where there are few different ones. */
  get fewValues(): ReadonlyMap<Scalar, number> | undefined {
    return this.#values;
  }

  /** The readings that fit all values but the words for nothing, in the order in which they are preferred. */
  get fitting(): readonly Fit[] {
    return this.nested > 0 || this.#tried === 0 ? [] : this.#fits.filter(({ failures }) => failures === 0);
  }

  /** A reading that fits nearly all values. */
  get nearlyFitting(): Fit | undefined {
    return this.nested > 0
      ? undefined
      : this.#fits.find(({ failures }) => failures > 0 && failures < this.#tried * MOST_FAILING_SHARE);
  }

  /** @param records of the file */
  summary(field: string, records: number): FieldProfile {
    return this.#statistics.summary({ field, records });
  }
}

function isGivenUp({ failures }: Fit, tried: number): boolean {
  return failures > MOST_FAILURES && failures > tried * MOST_FAILING_SHARE;
}

function isScalar(value: unknown): value is Scalar {
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean";
}
