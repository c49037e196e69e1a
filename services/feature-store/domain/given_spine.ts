/** A spine that is given row by row: which entity, at which T, with what besides. @module */
import type { DataRecord } from "shared/contracts/envelope.ts";
import type { FeatureValue } from "shared/contracts/feature_store.ts";
import { entityKey, type KeyType } from "shared/contracts/entity_key.ts";
import { parseTime } from "shared/contracts/time.ts";
import { invalid, type Reason } from "shared/errors.ts";
import { type CellColumn, createCellWriter } from "./cells.ts";
import { arrangeRows, GIVEN_HEAD, type GivenRows } from "./given_rows.ts";
import { toFeatureValue } from "./history.ts";

export interface GivenSpineOptions {
  entity: string;
  keys: Readonly<Record<string, KeyType>>;
  /** The column of T. */
  time: string;
  /** Columns that there must be; a row that lacks one of them holds null there. */
  columns: readonly string[];
  /** What on-demand features read of these columns; a row may hold null there. */
  types: ReadonlyMap<string, "number" | "string" | "boolean">;
  /** Every value is text, as in CSV: those with a type are read as that, and columns of numbers alone as numbers. */
  isText: boolean;
  /** No T lies after it: what would be known then is not known yet. */
  clockMs: number;
}

const MAX_REASONS = 20;

/** Takes the rows one by one. */
export interface SpineReader {
  add(data: DataRecord): void;
  /** What a file holds that could not be read as a row. */
  refuse(reason: Reason): void;
  /** @throws {AppError} `invalid`, with the first mistakes and their rows */
  finish(): GivenRows;
}

export function createSpineReader(options: GivenSpineOptions): SpineReader {
  const { entity, keys, time, types, isText, clockMs } = options;
  const columns = [...new Set(options.columns)];
  const parts = Object.entries(keys).map(([name, type]) => `${name} (${type})`).join(", ");
  const rows = createCellWriter(GIVEN_HEAD.length + columns.length);
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
      const path = `/spine/rows/${rows.rows + mistakes}`;
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
      const values: FeatureValue[] = [];
      for (const column of columns) {
        const type = types.get(column);
        const value = isText && type !== undefined ? readText(data[column], type) : data[column];
        if (type !== undefined && value !== undefined && value !== null && typeof value !== type) {
          return refuse({
            path: `${path}/${column}`,
            message: `is ${JSON.stringify(value)}: an on-demand feature reads a ${type}, or null`,
          });
        }
        values.push(toFeatureValue(value));
      }
      for (const column of unseen) if (Object.hasOwn(data, column)) unseen.delete(column);
      rows.add([key, at], values);
    },
    finish() {
      if (rows.rows > 0) {
        for (const column of unseen) refuse({ path: "/spine", message: `has no column "${column}"` });
      }
      if (mistakes === 0) {
        const cells = rows.finish();
        const read = isText ? cells.columns.map(numbersOf) : cells.columns;
        return arrangeRows({ ...cells, columns: read }, columns);
      }
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

/** CSV holds text: a column is of numbers where all of it is, blanks aside. */
function numbersOf(column: CellColumn): CellColumn {
  if (column.kind !== "coded") return column;
  const values = column.values.map((text) => String(text).trim() === "" ? NaN : Number(text));
  const isNumeric = column.values.every((text, code) =>
    Number.isFinite(values[code]) || String(text).trim() === ""
  );
  return isNumeric ? { kind: "coded", values } : column;
}
