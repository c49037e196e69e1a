/** The answer of an online read as JSON, written by hand: that takes a fraction of what objects would. @module */
import { JsonText, type ReplyOf, type RequestOf } from "shared/contracts/endpoint.ts";
import type { online } from "shared/contracts/feature_store.ts";
import { toInstant } from "shared/contracts/time.ts";
import { tooLarge } from "shared/errors.ts";
import type { AskedFeatures } from "./catalog.ts";
import type { FeaturePlan, FeatureRow } from "./domain/feature_plan.ts";

type Entity = RequestOf<typeof online>["entities"][number];

/** Takes rows as long as there is room for them. */
export class OnlineReply {
  readonly #head: string;
  readonly #rows: string[] = [];
  readonly #maxBytes: number;
  #length: number;
  /** Counted once it matters. */
  #bytes: number | undefined;

  /** @param maxBytes of the whole answer; default: any number */
  constructor(
    asked: Pick<AskedFeatures, "plan" | "version">,
    { at, position, snapshot }: Pick<ReplyOf<typeof online>, "at" | "position" | "snapshot">,
    maxBytes = Infinity,
  ) {
    this.#head = `${headOf(asked)},"at":"${at}","position":${position},"snapshot":"${snapshot}"`;
    this.#maxBytes = maxBytes - MARGIN_BYTES;
    this.#length = this.#head.length;
  }

  /** @returns whether it fits @throws {AppError} `too_large` when not even the first one does */
  add(entity: Entity, row: FeatureRow): boolean {
    const text = rowText(entity, row);
    if (this.#hasRoomFor(text)) return this.#rows.push(text) > 0;
    if (this.#rows.length > 0) return false;
    throw tooLarge(
      "Cannot read features: one entity's are more than a message holds; ask for fewer, or over HTTP",
    );
  }

  /** @param next the first entity of the next page; null: there is none */
  finish(next: number | null): JsonText {
    return new JsonText(`${this.#head},"rows":[${this.#rows.join()}],"next":${next}}`);
  }

  #hasRoomFor(text: string): boolean {
    this.#length += text.length + 1;
    // A character has at most three bytes in UTF-8: most answers need no counting.
    if (3 * this.#length <= this.#maxBytes) return true;
    this.#bytes ??= this.#rows.reduce((sum, row) => sum + byteLength(row) + 1, byteLength(this.#head));
    this.#bytes += byteLength(text) + 1;
    return this.#bytes <= this.#maxBytes;
  }
}

/** For `next`, and for brackets. */
const MARGIN_BYTES = 256;

const encoder = new TextEncoder();

function byteLength(text: string): number {
  return encoder.encode(text).length;
}

/** What all answers to a selection begin with. */
const heads = new WeakMap<FeaturePlan, string>();

function headOf({ plan, version }: Pick<AskedFeatures, "plan" | "version">): string {
  const known = heads.get(plan);
  if (known !== undefined) return known;
  const views = plan.views.map(({ name, version }) => ({ name, version }));
  const head = JSON.stringify({ features: plan.features, version, views }).slice(0, -1);
  heads.set(plan, head);
  return head;
}

function rowText(entity: Entity, { values, statuses, eventTimes, approximate }: FeatureRow): string {
  const marks = approximate.length > 0 ? `,"approximate":[${approximate.join()}]` : "";
  return `{"entity":${JSON.stringify(entity)},"values":${JSON.stringify(values)},` +
    `"statuses":${statusesText(statuses)},"eventTimes":[${timesText(eventTimes)}]${marks}}`;
}

/** By their number: of so many features that are all there, as nearly always. */
const allPresent = new Map<number, string>();
/** Features may be named singly, in any number. */
const MAX_KEPT = 1_000;

function statusesText(statuses: FeatureRow["statuses"]): string {
  if (!statuses.every((status) => status === "PRESENT")) return JSON.stringify(statuses);
  const known = allPresent.get(statuses.length);
  if (known !== undefined) return known;
  const text = JSON.stringify(statuses);
  if (allPresent.size >= MAX_KEPT) allPresent.clear();
  allPresent.set(statuses.length, text);
  return text;
}

/** Neighbours mostly have one event time: that of the newest record of their view. */
function timesText(times: FeatureRow["eventTimes"]): string {
  let text = "";
  for (let first = 0, end = 0; first < times.length; first = end) {
    const time = times[first]!;
    while (end < times.length && times[end] === time) end++;
    text += `${time === null ? "null" : `"${toInstant(time)}"`},`.repeat(end - first);
  }
  return text.slice(0, -1);
}
