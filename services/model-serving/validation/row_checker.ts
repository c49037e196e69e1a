/**
 * Checking rows by a model's signature, and laying them out for the model. Made once a version: what is looked up for
 * each row is prepared here, because a schema library takes longer over 256 rows than the model does. Pure.
 *
 * @module
 */
import type { FeatureValue } from "shared/contracts/feature_store.ts";
import type { Mark } from "shared/contracts/model_serving.ts";
import type { ModelInput, Signature } from "shared/contracts/signature.ts";
import type { Reason } from "shared/errors.ts";
import { pointerToken } from "shared/reason_text.ts";
import { invalidInput } from "shared/validation.ts";
import { type ModelBatch, shapeOf } from "shared/onnx/model_batch.ts";
import { float32List } from "./float_parts.ts";
import type { Given } from "./given.ts";
import { numbersOfColumns, numbersOfMatrix, numbersOfRows } from "./number_rows.ts";

/** What is done about values that are not as the model takes them; missing ones are the signature's to say. */
export interface InputPolicy {
  /** Infinity, or a number beyond float32: the call is refused, or the value counts as missing. */
  notFinite: "refuse" | "missing";
  /** Fields that the model does not know: the call is refused, or they are passed over. */
  unknown: "refuse" | "ignore";
}

/** Marks of one row by feature: what did not go into the model as it came. */
export type RowMarks = Readonly<Record<string, Mark>>;

/** Rows that may go into the model. */
export interface CheckedRows extends ModelBatch {
  readonly given: Given;
  /** By row; empty for most calls. */
  readonly marks: ReadonlyMap<number, RowMarks>;
}

export interface RowChecker {
  readonly signature: Signature;
  /** Names of the features, in the order of the signature. */
  readonly names: readonly string[];
  /**
   * @param rows objects of values by feature
   * @throws {AppError} `invalid`, with a reason for every mistake in every row
   */
  rows(rows: readonly unknown[]): CheckedRows;
  /** @param columns lists of values by feature, all of one length */
  columns(columns: Readonly<Record<string, unknown>>): CheckedRows;
  /** @param tell where a mistake stands, unless the caller gave rows */
  matrix(values: ArrayLike<FeatureValue>, rows: number, tell?: Tell): CheckedRows;
}

/** Tells of a mistake in a value by where the caller gave it; asked where there is one only. */
export type Tell = (row: number, name: string, message: string) => Reason;

/** Reasons told at most: a batch that is wrong throughout is understood after these. */
const MAX_REASONS = 100;

/** Of nearly all calls: a map of its own costs one as much as its row does. Never written to. */
const NO_MARKS = new Map<number, Record<string, Mark>>();

export const UNKNOWN = "is not a feature of the model";

export function createRowChecker(signature: Signature, policy: InputPolicy): RowChecker {
  const { inputs } = signature;
  const width = inputs.length;
  const places = placesOf(inputs);
  const shape = shapeOf(signature);
  const names = inputs.map(({ name }) => name);
  const columnOf = new Map<string, number>(names.map((name, column) => [name, column]));
  const onlyNumbers = shape.categories === 0;

  /** Takes values in, cell by cell, each once. */
  class Intake {
    readonly numbers: Float32Array;
    readonly categories: string[];
    readonly given: FeatureValue[];
    readonly reasons: Reason[] = [];
    mistakes = 0;
    marks = NO_MARKS;

    constructor(readonly rows: number) {
      this.numbers = float32List(rows * shape.numbers);
      this.categories = new Array(rows * shape.categories).fill("");
      // Not filled: numbers alone lie in it as they are, and not as objects.
      this.given = new Array(rows * width);
    }

    take(value: unknown, row: number, column: number, tell: Tell): void {
      const place = places[column]!;
      if (typeof value === "number" && place.vocabulary === undefined) {
        const number = Math.fround(value);
        if (Number.isFinite(number)) {
          this.numbers[row * shape.numbers + place.at] = number;
          this.given[row * width + column] = value;
          return;
        }
      } else if (typeof value === "string" && place.vocabulary?.has(value)) {
        this.categories[row * shape.categories + place.at] = value;
        this.given[row * width + column] = value;
        return;
      }
      this.#unusual(value, row, column, tell);
    }

    #unusual(value: unknown, row: number, column: number, tell: Tell): void {
      const input = inputs[column]!;
      if (value === null || value === undefined || value === "" || Number.isNaN(value)) {
        return this.#missing(row, column, tell, "MISSING");
      }
      if (input.type === "category") return this.#text(value, row, column, input, tell);
      if (typeof value === "boolean") {
        this.numbers[row * shape.numbers + places[column]!.at] = Number(value);
        this.given[row * width + column] = value;
        return;
      }
      if (typeof value === "number" && policy.notFinite === "missing") {
        return this.#missing(row, column, tell, "NOT_FINITE");
      }
      this.wrong(tell(row, input.name, `must be a number within float32, not ${shown(value)}`));
    }

    #missing(row: number, column: number, tell: Tell, mark: Mark): void {
      const { type, name, nulls } = inputs[column]!;
      this.given[row * width + column] = null;
      // A category is missing as it stands: the empty text.
      if (type === "number") this.numbers[row * shape.numbers + places[column]!.at] = NaN;
      if (nulls === "as_trained") return this.#mark(row, name, mark);
      const message = mark === "MISSING" ? "is missing" : "is beyond float32, and may not be missing";
      this.wrong(tell(row, name, message));
    }

    /** Numbers and booleans name a category by their text, as they did in training. */
    #text(
      value: unknown,
      row: number,
      column: number,
      { name, unseen }: ModelInput & { type: "category" },
      tell: Tell,
    ): void {
      const text = typeof value === "number" || typeof value === "boolean" ? String(value) : value;
      if (typeof text !== "string" || text.includes("\0") || !text.isWellFormed()) {
        const message = `must be a text without U+0000, not ${shown(value)}`;
        return this.wrong(tell(row, name, message));
      }
      if (!places[column]!.vocabulary!.has(text)) {
        if (unseen === "refuse") {
          return this.wrong(tell(row, name, `is ${shown(value)}, which the model has not seen`));
        }
        this.#mark(row, name, "UNSEEN");
      }
      this.categories[row * shape.categories + places[column]!.at] = text;
      this.given[row * width + column] = value as FeatureValue;
    }

    #mark(row: number, name: string, mark: Mark): void {
      if (this.marks === NO_MARKS) this.marks = new Map();
      const marks = this.marks.get(row) ?? {};
      marks[name] = mark;
      this.marks.set(row, marks);
    }

    /** An object of values by feature. */
    takeRow(fields: Readonly<Record<string, unknown>>, row: number, tell: Tell): void {
      let found = 0;
      // deno-lint-ignore guard-for-in -- objects of JSON inherit nothing, and to ask that of each field takes as long
      for (const name in fields) {
        // Most callers have an order, which is the signature's.
        const column = names[found] === name ? found : columnOf.get(name);
        if (column !== undefined) {
          found++;
          this.take(fields[name], row, column, tell);
        } else if (policy.unknown === "refuse") {
          this.wrong(tell(row, name, UNKNOWN));
        }
      }
      for (let column = 0; found < width && column < width; column++) {
        if (!Object.hasOwn(fields, names[column]!)) this.take(undefined, row, column, tell);
      }
    }

    wrong(reason: Reason): void {
      this.mistakes++;
      if (this.reasons.length < MAX_REASONS) this.reasons.push(reason);
    }

    finish(): CheckedRows {
      if (this.reasons.length > 0) throw invalidInput("predict", this.reasons, this.mistakes);
      const { rows, numbers, categories, given, marks } = this;
      return { rows, numbers, categories, given, marks };
    }
  }

  return {
    signature,
    names,
    rows(rows) {
      const numbers = onlyNumbers ? numbersOfRows(rows, names, columnOf) : undefined;
      if (numbers !== undefined) return numbers;
      const intake = new Intake(rows.length);
      rows.forEach((row, index) => {
        if (typeof row !== "object" || row === null || Array.isArray(row)) {
          intake.wrong({ path: `/rows/${index}`, message: "must be an object of values by feature" });
          return;
        }
        intake.takeRow(row as Record<string, unknown>, index, inRows);
      });
      return intake.finish();
    },
    columns(columns) {
      const numbers = onlyNumbers ? numbersOfColumns(columns, names) : undefined;
      if (numbers !== undefined) return numbers;
      const length = rowsOfColumns(columns);
      const intake = new Intake(length);
      for (const [name, list] of Object.entries(columns)) {
        const path = `/columns/${pointerToken(name)}`;
        if (!columnOf.has(name) && policy.unknown === "refuse") intake.wrong({ path, message: UNKNOWN });
        if (!Array.isArray(list)) intake.wrong({ path, message: "must be a list of values" });
        else if (list.length !== length) {
          intake.wrong({ path, message: `has ${list.length} values, and another column ${length}` });
        }
      }
      inputs.forEach(({ name, nulls }, column) => {
        const isGiven = Object.hasOwn(columns, name);
        if (!isGiven && nulls === "refuse") {
          return intake.wrong({ path: "/columns", message: `must hold "${name}", which may not be missing` });
        }
        const list = columns[name];
        const values: readonly unknown[] = Array.isArray(list) ? list : [];
        // Of a list that is too short, which is told, what there is.
        const end = isGiven ? values.length : length;
        for (let row = 0; row < end; row++) intake.take(values[row], row, column, inColumns);
      });
      return intake.finish();
    },
    matrix(values, rows, tell = inRows) {
      const numbers = onlyNumbers ? numbersOfMatrix(values, rows, width) : undefined;
      if (numbers !== undefined) return numbers;
      const intake = new Intake(rows);
      for (let row = 0; row < rows; row++) {
        for (let column = 0; column < width; column++) {
          intake.take(values[row * width + column], row, column, tell);
        }
      }
      return intake.finish();
    },
  };
}

/** As many as the longest column has: the checker tells of those that are shorter. */
export function rowsOfColumns(columns: Readonly<Record<string, unknown>>): number {
  let rows = 0;
  for (const list of Object.values(columns)) {
    if (Array.isArray(list) && list.length > rows) rows = list.length;
  }
  return rows;
}

const inRows: Tell = (row, name, message) => ({ path: `/rows/${row}/${pointerToken(name)}`, message });
const inColumns: Tell = (row, name, message) => ({ path: `/columns/${pointerToken(name)}/${row}`, message });

/** Where an input's value goes in its tensor; with a vocabulary in that of the categories. */
interface Place {
  at: number;
  vocabulary: ReadonlySet<string> | undefined;
}

function placesOf(inputs: readonly ModelInput[]): Place[] {
  const next = { number: 0, category: 0 };
  return inputs.map((input) => ({
    at: next[input.type]++,
    vocabulary: input.type === "category" ? new Set(input.vocabulary) : undefined,
  }));
}

/** Long values are cut: the caller knows them. Lists and objects may be nested deeper than can be written. */
function shown(value: unknown): string {
  if (typeof value === "object") return Array.isArray(value) ? "a list" : "an object";
  const text = typeof value === "string" ? JSON.stringify(value) : String(value);
  return text.length > 80 ? `${text.slice(0, 80)}...` : text;
}
