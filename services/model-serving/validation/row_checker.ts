/**
 * Checking rows by a model's signature, and laying them out for the model. Made once a version: what is looked up for
 * each row is prepared here, because a schema library takes longer over 256 rows than the model does. Pure.
 *
 * @module
 */
import type { FeatureValue } from "shared/contracts/feature_store.ts";
import type { Mark } from "shared/contracts/model_serving.ts";
import type { Signature } from "shared/contracts/signature.ts";
import type { Reason } from "shared/errors.ts";
import { invalidInput } from "shared/validation.ts";
import type { ModelRows } from "../runtime/runtime.ts";

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
export interface CheckedRows extends ModelRows {
  /** As they were given, row after row in the order of the signature; null where nothing was. */
  readonly given: readonly FeatureValue[];
  /** By row; empty for most calls. */
  readonly marks: ReadonlyMap<number, RowMarks>;
}

export interface RowChecker {
  /** Names of the features, in the order of the signature. */
  readonly names: readonly string[];
  /**
   * @param rows objects of values by feature
   * @throws {AppError} `invalid`, with a reason for every mistake in every row
   */
  rows(rows: readonly unknown[]): CheckedRows;
  /** @param columns lists of values by feature, all of one length */
  columns(columns: Readonly<Record<string, unknown>>): CheckedRows;
  /** @param at what names a row in the reasons */
  matrix(values: ArrayLike<FeatureValue>, rows: number, at?: string): CheckedRows;
}

/** Reasons told at most: a batch that is wrong throughout is understood after these. */
const MAX_REASONS = 100;

export function createRowChecker(signature: Signature, policy: InputPolicy): RowChecker {
  const { inputs } = signature;
  const width = inputs.length;
  const names = inputs.map(({ name }) => name);
  const known = new Set<string>(names);

  /** Takes values in, cell by cell. */
  class Intake {
    readonly numbers: Float32Array;
    readonly given: FeatureValue[];
    readonly reasons: Reason[] = [];
    readonly marks = new Map<number, Record<string, Mark>>();

    constructor(readonly rows: number) {
      this.numbers = new Float32Array(rows * width);
      this.given = new Array(rows * width).fill(null);
    }

    /** The path is made where it is needed only. */
    take(value: unknown, row: number, column: number, path: (row: number, name: string) => string): void {
      const at = row * width + column;
      if (typeof value === "number") {
        const number = Math.fround(value);
        if (Number.isFinite(number)) {
          this.numbers[at] = number;
          this.given[at] = value;
          return;
        }
      }
      this.#unusual(value, row, column, path);
    }

    #unusual(
      value: unknown,
      row: number,
      column: number,
      path: (row: number, name: string) => string,
    ): void {
      const at = row * width + column;
      const { name, nulls } = inputs[column]!;
      const wrong = (message: string) => this.wrong({ path: path(row, name), message });
      if (typeof value === "boolean") {
        this.numbers[at] = Number(value);
        this.given[at] = value;
        return;
      }
      if (value === null || value === undefined || Number.isNaN(value)) {
        this.numbers[at] = NaN;
        if (nulls === "refuse") wrong("is missing");
        else this.#mark(row, name, "MISSING");
        return;
      }
      if (typeof value === "number" && policy.notFinite === "missing") {
        this.numbers[at] = NaN;
        if (nulls === "refuse") wrong("is beyond float32, and may not be missing");
        else this.#mark(row, name, "NOT_FINITE");
        return;
      }
      wrong(`must be a number within float32, not ${shown(value)}`);
    }

    #mark(row: number, name: string, mark: Mark): void {
      const marks = this.marks.get(row) ?? {};
      marks[name] = mark;
      this.marks.set(row, marks);
    }

    wrong(reason: Reason): void {
      if (this.reasons.length < MAX_REASONS) this.reasons.push(reason);
    }

    finish(): CheckedRows {
      if (this.reasons.length > 0) throw invalidInput("predict", this.reasons);
      const { rows, numbers, given, marks } = this;
      return { rows, numbers, categories: [], given, marks };
    }
  }

  const unknownField = { message: "is not a feature of the model" };

  return {
    names,
    rows(rows) {
      const intake = new Intake(rows.length);
      const path = (row: number, name: string) => `/rows/${row}/${pointer(name)}`;
      rows.forEach((row, index) => {
        if (typeof row !== "object" || row === null || Array.isArray(row)) {
          intake.wrong({ path: `/rows/${index}`, message: "must be an object of values by feature" });
          return;
        }
        if (policy.unknown === "refuse") {
          for (const name in row) {
            if (!known.has(name)) intake.wrong({ path: path(index, name), ...unknownField });
          }
        }
        for (let column = 0; column < width; column++) {
          intake.take((row as Record<string, unknown>)[names[column]!], index, column, path);
        }
      });
      return intake.finish();
    },
    columns(columns) {
      const lists = Object.entries(columns);
      const length = lists.reduce(
        (most, [, list]) => Math.max(most, Array.isArray(list) ? list.length : 0),
        0,
      );
      const intake = new Intake(length);
      for (const [name, list] of lists) {
        const path = `/columns/${pointer(name)}`;
        if (!known.has(name) && policy.unknown === "refuse") intake.wrong({ path, ...unknownField });
        if (!Array.isArray(list)) intake.wrong({ path, message: "must be a list of values" });
        else if (list.length !== length) {
          intake.wrong({ path, message: `has ${list.length} values, and another column ${length}` });
        }
      }
      for (let column = 0; column < width; column++) {
        const list = columns[names[column]!];
        const values = Array.isArray(list) ? list as unknown[] : [];
        for (let row = 0; row < length; row++) {
          intake.take(values[row], row, column, (row, name) => `/columns/${pointer(name)}/${row}`);
        }
      }
      return intake.finish();
    },
    matrix(values, rows, at = "/rows") {
      const intake = new Intake(rows);
      const path = (row: number, name: string) => `${at}/${row}/${pointer(name)}`;
      for (let row = 0; row < rows; row++) {
        for (let column = 0; column < width; column++) {
          intake.take(values[row * width + column], row, column, path);
        }
      }
      return intake.finish();
    },
  };
}

const pointer = (name: string) => name.replaceAll("~", "~0").replaceAll("/", "~1");

/** Long values are cut: the caller knows them. */
function shown(value: unknown): string {
  const text = typeof value === "number" ? String(value) : JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 80)}...` : text;
}
