/** The answer of an online read as JSON, written by hand: that takes a fraction of what objects would. @module */
import { JsonText, type ReplyOf, type RequestOf } from "shared/contracts/endpoint.ts";
import type { online } from "shared/contracts/feature_store.ts";
import { toInstant } from "shared/contracts/time.ts";
import { tooLarge } from "shared/errors.ts";
import type { FeatureRow } from "./domain/feature_plan.ts";

/** What an answer says besides its rows. */
export type ReplyHead = Omit<ReplyOf<typeof online>, "rows" | "next">;

type Entity = RequestOf<typeof online>["entities"][number];

/** Takes rows as long as there is room for them. */
export class OnlineReply {
  readonly #head: string;
  readonly #rows: string[] = [];
  #room: number;

  /** @param maxBytes of the whole answer; default: any number */
  constructor(head: ReplyHead, maxBytes = Infinity) {
    this.#head = JSON.stringify(head).slice(0, -1);
    this.#room = maxBytes - MARGIN_BYTES;
    if (maxBytes !== Infinity) this.#room -= byteLength(this.#head);
  }

  /** @returns whether it fits @throws {AppError} `too_large` when not even the first one does */
  add(entity: Entity, row: FeatureRow): boolean {
    const text = rowText(entity, row);
    if (this.#room !== Infinity) this.#room -= byteLength(text) + 1;
    if (this.#room >= 0) return this.#rows.push(text) > 0;
    if (this.#rows.length > 0) return false;
    throw tooLarge(
      "Cannot read features: one entity's are more than a message holds; ask for fewer, or over HTTP",
    );
  }

  /** @param next the first entity of the next page; null: there is none */
  finish(next: number | null): JsonText {
    return new JsonText(`${this.#head},"rows":[${this.#rows.join()}],"next":${next}}`);
  }
}

/** For `next`, and for brackets. */
const MARGIN_BYTES = 256;

const encoder = new TextEncoder();

function byteLength(text: string): number {
  return encoder.encode(text).length;
}

function rowText(entity: Entity, { values, statuses, eventTimes, approximate }: FeatureRow): string {
  const marks = approximate.length > 0 ? `,"approximate":[${approximate.join()}]` : "";
  return `{"entity":${JSON.stringify(entity)},"values":${JSON.stringify(values)},` +
    `"statuses":${statusesText(statuses)},"eventTimes":[${timeTexts(eventTimes).join()}]${marks}}`;
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
function timeTexts(times: FeatureRow["eventTimes"]): string[] {
  let last: number | null = null;
  let text = "null";
  return times.map((time) => {
    if (time !== last) {
      last = time;
      text = time === null ? "null" : `"${toInstant(time)}"`;
    }
    return text;
  });
}
