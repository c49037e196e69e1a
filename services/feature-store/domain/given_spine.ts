/** A spine that is given row by row: which entity, at which T, with what besides. @module */
import type { DataRecord } from "shared/contracts/envelope.ts";
import { entityKey, type KeyType } from "shared/contracts/entity_key.ts";
import { parseTime } from "shared/contracts/time.ts";
import { invalid, type Reason } from "shared/errors.ts";

/** A row of a given spine, understood. */
export interface SpineRow {
  /** Canonical entity key. */
  key: string;
  /** T, milliseconds since 1970. */
  at: number;
  /** As it was given. */
  data: DataRecord;
}

export interface GivenSpineOptions {
  entity: string;
  keys: Readonly<Record<string, KeyType>>;
  /** The column of T. */
  time: string;
  /** Columns that there must be; a row that lacks one of them holds null there. */
  columns: readonly string[];
  /** What on-demand features read of these columns; a row may hold null there. */
  types: ReadonlyMap<string, "number" | "string" | "boolean">;
  /** Every value is text, as in CSV: those with a type are read as that. */
  isText: boolean;
  /** No T lies after it: what would be known then is not known yet. */
  clockMs: number;
}

const MAX_REASONS = 20;

/** Reads the rows one by one; `finish` gives them in their order. */
export interface SpineReader {
  add(data: DataRecord): void;
  /** What a file holds that could not be read as a row. */
  refuse(reason: Reason): void;
  /** @throws {AppError} `invalid`, with the first mistakes and their rows */
  finish(): SpineRow[];
}

export function createSpineReader(options: GivenSpineOptions): SpineReader {
  const { entity, keys, time, columns, types, isText, clockMs } = options;
  const parts = Object.entries(keys).map(([name, type]) => `${name} (${type})`).join(", ");
  const rows: SpineRow[] = [];
  const unseen = new Set(columns);
  const reasons: Reason[] = [];
  let mistakes = 0;

  function refuse(reason: Reason): void {
    mistakes++;
    if (reasons.length < MAX_REASONS) reasons.push(reason);
  }

  return {
    refuse,
    add(data) {
      const path = `/spine/rows/${rows.length + mistakes}`;
      const key = entityKey(data, keys);
      const instant = parseTime(data[time]);
      if (key === undefined) {
        return refuse({ path, message: `does not name the entity "${entity}", whose key is ${parts}` });
      }
      if (instant === undefined) {
        const found = JSON.stringify(data[time]) ?? "nothing";
        return refuse({ path: `${path}/${time}`, message: `is ${found}, and must be an instant or a date` });
      }
      const at = Date.parse(instant);
      if (at > clockMs) {
        const clock = new Date(clockMs).toISOString();
        return refuse({
          path: `${path}/${time}`,
          message: `is ${instant}, after the project's clock (${clock})`,
        });
      }
      const typed: DataRecord = {};
      for (const [column, type] of types) {
        const value = isText ? readText(data[column], type) : data[column];
        if (value === undefined || value === null) continue;
        const found = typeof value;
        if (found !== type) {
          return refuse({
            path: `${path}/${column}`,
            message: `is ${JSON.stringify(value)}: an on-demand feature reads a ${type}, or null`,
          });
        }
        typed[column] = value;
      }
      for (const column of unseen) if (Object.hasOwn(data, column)) unseen.delete(column);
      rows.push({ key, at, data: isText ? { ...data, ...typed } : data });
    },
    finish() {
      if (rows.length > 0) {
        for (const column of unseen) refuse({ path: "/spine", message: `has no column "${column}"` });
      }
      if (mistakes === 0) return rows;
      const [first] = reasons;
      const more = mistakes > 1 ? `, and ${mistakes - 1} more` : "";
      throw invalid(`Cannot use the spine: ${first!.path} ${first!.message}${more}`, reasons);
    },
  };
}

/** As the type, where the text is one of it; an empty one is nothing. */
function readText(value: unknown, type: "number" | "string" | "boolean"): unknown {
  if (typeof value !== "string" || type === "string") return value;
  if (value.trim() === "") return null;
  if (type === "boolean") return { true: true, false: false }[value.trim()] ?? value;
  return Number.isFinite(Number(value)) ? Number(value) : value;
}

/** CSV holds text: a column that is read as numbers, where all of it is. */
export function withNumbersRead(rows: readonly SpineRow[], columns: readonly string[]): SpineRow[] {
  const numeric = columns.filter((column) => rows.every(({ data }) => isNumberOrNothing(data[column])));
  return rows.map(({ data, ...row }) => ({
    ...row,
    data: { ...data, ...Object.fromEntries(numeric.map((column) => [column, toNumber(data[column])])) },
  }));
}

function isNumberOrNothing(value: unknown): boolean {
  if (typeof value !== "string") return value === null || value === undefined || typeof value === "number";
  return value.trim() === "" || Number.isFinite(Number(value));
}

function toNumber(value: unknown): number | null {
  if (typeof value === "number") return value;
  return typeof value === "string" && value.trim() !== "" ? Number(value) : null;
}
