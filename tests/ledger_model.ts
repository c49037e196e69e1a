/** What a run of the ledger's property test expects: records with known mistakes, and what must come of them. @module */
import { assert, assertEquals } from "@std/assert";
import type { RejectedRecord } from "shared/contracts/data_ingestion.ts";
import type { DataRecord } from "shared/contracts/envelope.ts";

/** How records are written. */
export type Form = "json" | "array" | "structured" | "binary" | "batch" | "ndjson" | "csv" | "lines";

const ENVELOPED: readonly Form[] = ["structured", "binary", "batch"];
const JSON_FORMS: readonly Form[] = ["json", "array", "structured", "binary", "batch", "ndjson"];

/** A way in which a record may be wrong. */
interface Fault {
  /** Forms in which it can be made. */
  forms: readonly Form[];
  /** The places of its reasons, where they do not depend on the source or the form. */
  paths?: readonly string[];
  change?: (data: DataRecord, order: number) => DataRecord;
}

const ANY: readonly Form[] = [...JSON_FORMS, "csv", "lines"];
const without = (data: DataRecord, field: string): DataRecord =>
  Object.fromEntries(Object.entries(data).filter(([name]) => name !== field));

/** The times of records, by their order: an entity's state is named by it, so it must be the same each time. */
const HOUR_MS = 3_600_000;
const BASE_MS = Math.floor(Date.now() / 1_000) * 1_000;
const timeOf = (order: number, days = 0) =>
  new Date(BASE_MS + days * 24 * HOUR_MS - (order + 1) * HOUR_MS).toISOString();

const table = {
  none: { forms: ANY },
  missing: { forms: ANY, paths: ["/quantity"], change: (data) => without(data, "quantity") },
  mismatch: { forms: ANY, paths: ["/quantity"], change: (data) => ({ ...data, quantity: "many" }) },
  nameless: { forms: ANY, paths: ["/order"], change: (data) => without(data, "order") },
  /** Cured by a wider enum. */
  high: { forms: ANY, paths: ["/level"], change: (data) => ({ ...data, level: "high" }) },
  several: {
    forms: ANY,
    paths: ["/level", "/quantity"],
    change: (data) => ({ ...without(data, "quantity"), level: "odd" }),
  },
  timeless: { forms: ANY, change: (data) => without(data, "time") },
  untimely: { forms: ANY, change: (data) => ({ ...data, time: "yesterday" }) },
  future: { forms: ANY, change: (data, order) => ({ ...data, time: timeOf(order, 10) }) },
  /** Cured by a wider bound. */
  late: { forms: ANY, change: (data, order) => ({ ...data, time: timeOf(order, -60) }) },
  oversized: { forms: ANY, paths: [""], change: (data) => ({ ...data, note: "x".repeat(5_000) }) },
  unstorable: { forms: JSON_FORMS, paths: ["/note"], change: (data) => ({ ...data, note: "\0" }) },
  unaddressed: { forms: ENVELOPED },
  noObject: { forms: JSON_FORMS },
  unparsed: { forms: ["json", "structured", "binary", "ndjson", "csv", "lines"] },
} as const satisfies Record<string, Fault>;

export type FaultName = keyof typeof table;
const FAULTS: Readonly<Record<FaultName, Fault>> = table;
export const FAULT_NAMES = Object.keys(table) as FaultName[];
/** The largest record, in bytes, for the setting MAX_RECORD_BYTES. */
export const MAX_RECORD_BYTES = 4_096;

/** A source of the test, and all that was sent to it. */
export interface SourceModel {
  readonly name: string;
  readonly kind: "events" | "entities" | "logs";
  /** Its id and time are declared; else both are the envelope's. */
  readonly declared: boolean;
  defined: boolean;
  levels: readonly string[];
  lateDays: number;
  accepted: number;
  /** What is known of each id: the tags of the records that had it, of which one is stored. */
  readonly stored: Map<string, Set<string>>;
  /** The stored records that are named by a place which the sender does not know, by tag. */
  readonly placed: Map<string, RegExp>;
  rejected: Expected[];
}

export function sourceModel(
  name: string,
  kind: SourceModel["kind"],
  { declared = true, defined = true } = {},
): SourceModel {
  return {
    name,
    kind,
    declared,
    defined,
    levels: ["low"],
    lateDays: 30,
    accepted: 0,
    stored: new Map(),
    placed: new Map(),
    rejected: [],
  };
}

/** The definition that a source has now. */
export function bodyOf({ kind, declared, levels, lateDays }: SourceModel) {
  return {
    kind,
    schema: {
      type: "object",
      required: ["order", "quantity", "level"],
      properties: {
        order: { type: "string" },
        quantity: { type: "string", pattern: "^[0-9]+$" },
        level: { enum: [...levels] },
      },
    },
    id: declared ? ["order"] : [],
    time: declared ? "time" : null,
    lateBound: `P${lateDays}D`,
    ...(kind === "logs" ? { format: "logfmt" as const } : {}),
  };
}

/** A record that is sent, and what it is. */
export interface Item {
  /** Marks it wherever it ends up. */
  tag: string;
  order: number;
  fault: FaultName;
  form: Form;
}

/** An item with the place that it has among others. */
export interface Expected extends Item {
  /** What names it where it has no id of its own. */
  fallback: string | RegExp;
  file: { name: string; line: number } | null;
  /** Of its reasons. */
  paths: readonly string[];
}

/** The same item without what can't be wrong in its form. */
export function inForm(item: Omit<Item, "form">, form: Form, impossible: readonly FaultName[] = []): Item {
  const isPossible = FAULTS[item.fault].forms.includes(form) && !impossible.includes(item.fault);
  return { ...item, form, fault: isPossible ? item.fault : "none" };
}

/** The data of an item. */
export function dataOf({ tag, order, fault }: Item): DataRecord {
  const good = { order: `o-${order}`, tag, quantity: "3", level: "low", time: timeOf(order) };
  return FAULTS[fault].change?.(good, order) ?? good;
}

/** Notes that an item was taken, and what must come of it. */
export function take(source: SourceModel, item: Omit<Expected, "paths">): void {
  source.accepted++;
  settle(source, { ...item, paths: pathsOf(source, item) });
}

/** Judges again what was rejected and is chosen. @returns what the answer must say */
export function redrive(
  source: SourceModel,
  isChosen: (expected: Expected) => boolean,
): { stored: number; duplicates: number; rejected: number } {
  const chosen = source.rejected.filter(isChosen);
  source.rejected = source.rejected.filter((expected) => !isChosen(expected));
  const before = { stored: storedCount(source), rejected: source.rejected.length };
  for (const expected of chosen) settle(source, { ...expected, paths: pathsOf(source, expected) });
  const stored = storedCount(source) - before.stored;
  const rejected = source.rejected.length - before.rejected;
  return { stored, rejected, duplicates: chosen.length - stored - rejected };
}

export function storedCount({ stored, placed }: SourceModel): number {
  return stored.size + placed.size;
}

function settle(source: SourceModel, expected: Expected): void {
  if (expected.paths.length > 0) {
    source.rejected.push(expected);
    return;
  }
  const id = idOf(source, expected);
  if (typeof id !== "string") source.placed.set(expected.tag, id);
  else source.stored.set(id, (source.stored.get(id) ?? new Set()).add(expected.tag));
}

/** The id of an item that may come in. */
export function idOf(source: SourceModel, item: Omit<Expected, "paths">): string | RegExp {
  if (ENVELOPED.includes(item.form)) return `o-${item.order}`;
  if (!source.declared) return item.fallback;
  const { order, time } = dataOf(item);
  return source.kind === "entities" ? `${order}@${time}` : String(order);
}

/** Where the reasons are for which an item must be rejected, each place once; none: it may come in. */
export function pathsOf(source: SourceModel, item: Pick<Item, "fault" | "form">): string[] {
  const { fault, form } = item;
  const paths = new Set<string>();
  if (!source.defined) paths.add("");
  if (fault === "unparsed" || fault === "noObject") {
    paths.add("");
  } else if (fault === "unaddressed") {
    paths.add(form === "binary" ? "/ce-id" : "/id");
  } else if (fault === "unstorable" || source.defined) {
    for (const path of isCured(source, fault) ? [] : FAULTS[fault].paths ?? []) paths.add(path);
    if (source.defined && isUntimely(source, item)) paths.add("/time");
  }
  return [...paths].toSorted();
}

function isCured({ levels }: SourceModel, fault: FaultName): boolean {
  return fault === "high" && levels.includes("high");
}

function isUntimely({ declared, lateDays }: SourceModel, { fault, form }: Pick<Item, "fault" | "form">) {
  if (!declared && !ENVELOPED.includes(form)) return false;
  if (fault === "timeless") return declared;
  return fault === "untimely" || fault === "future" || (fault === "late" && lateDays < 61);
}

/** Compares rejected records with the expected ones: each by its tag, with the places of its reasons and its line. */
export function compareRejected({ rejected }: SourceModel, found: readonly RejectedRecord[]): void {
  const byTag = (a: { tag: string }, b: { tag: string }) => a.tag < b.tag ? -1 : 1;
  assertEquals(
    found.map((record) => ({
      tag: tagOf(record.payload),
      paths: [...new Set(record.reasons.map(({ path }) => path))].toSorted(),
      file: record.file,
    })).toSorted(byTag),
    rejected.map(({ tag, paths, file }) => ({ tag, paths: [...paths], file })).toSorted(byTag),
  );
}

/** Compares stored records with the expected ones. What stands once stays: the other tags of its id are forgotten. */
export function compareStored(
  { stored, placed }: SourceModel,
  found: readonly { id: string; data: DataRecord }[],
): void {
  const ids = new Map(found.map(({ id, data }) => [id, tagOf(data)]));
  assertEquals(ids.size, found.length, "ids are stored once");
  for (const [id, tags] of stored) {
    const tag = ids.get(id);
    assert(
      tag !== undefined && tags.has(tag),
      `"${id}" must be one of ${[...tags].join(", ")}, and is ${tag}`,
    );
    stored.set(id, new Set([tag]));
    ids.delete(id);
  }
  for (const [id, tag] of ids) {
    assert(placed.get(tag)?.test(id), `${tag} must not be stored as "${id}"`);
  }
  assertEquals(ids.size, placed.size);
}

/** The mark in what was kept of a record. */
export function tagOf(kept: unknown): string {
  return /tag-\d+/.exec(JSON.stringify(kept))?.[0] ?? "unmarked";
}
