/** Reading features of entities at T. @module */
import type { CallContext, ReplyOf, RequestOf } from "shared/contracts/endpoint.ts";
import { entityKey, type KeyType } from "shared/contracts/entity_key.ts";
import type { FeatureValue, online, RequestValues } from "shared/contracts/feature_store.ts";
import { toInstant } from "shared/contracts/time.ts";
import type { Database } from "shared/db/connection.ts";
import { invalid, type Reason, tooLarge } from "shared/errors.ts";
import { type AskedFeatures, type FeatureCache, wrongEntity } from "./catalog.ts";
import type { FeaturePlan, FeatureRow } from "./domain/feature_plan.ts";
import type { FeatureClock } from "./feature_clock.ts";
import { readFeatureData } from "./feature_data.ts";
import type { Position } from "./position.ts";

export interface OnlineDeps {
  db: Database;
  features: FeatureCache;
  clock: FeatureClock;
  position: Position;
}

type OnlineRequest = RequestOf<typeof online>;
type OnlineRow = ReplyOf<typeof online>["rows"][number];

/**
 * @throws {AppError} `not_found` and `invalid` when what is asked for is not there; `timeout` when the position that the
 * read waits for is not reached in time
 */
export async function readOnline(
  { db, features, clock, position }: OnlineDeps,
  request: OnlineRequest,
  context: Pick<CallContext, "maxReplyBytes">,
): Promise<ReplyOf<typeof online>> {
  const { waitFor } = request;
  if (waitFor !== undefined) await position.waitFor(waitFor.position, waitFor);
  const asked = await features.find(request.features);
  const { plan, version, project } = asked;
  const requestValues = valuesOf(request, plan);
  const entities = request.entities.slice(request.from);
  if (entities.length === 0) {
    throw invalid(
      `Cannot read features from entity ${request.from} on: ${request.entities.length} were given`,
    );
  }
  const at = request.asOf === undefined ? await clock.now(project) : Date.parse(request.asOf);
  // Before the records: all that this position covers is among them.
  const applied = await position.read();
  const sight = { atMs: at, knownByMs: request.asKnown === "now" ? Infinity : at };
  const data = await readFeatureData(db, asked, { keys: keysOf(asked, entities), sight });

  const reply: ReplyOf<typeof online> = {
    features: [...plan.features],
    version,
    views: plan.views.map(({ name, version }) => ({ name, version })),
    at: toInstant(at),
    position: applied,
    snapshot: data.snapshot,
    rows: [],
    next: null,
  };
  const room = new Room(reply, context.maxReplyBytes);
  for (const [index, entity] of entities.entries()) {
    const row = plan.evaluate((view) => data.of(view, index), {
      ...sight,
      request: requestValues(request.from + index),
    });
    const answered = toReply(entity, row);
    if (!room.takes(answered)) {
      reply.next = request.from + index;
      break;
    }
    reply.rows.push(answered);
  }
  return reply;
}

function keysOf(
  { keysOf }: AskedFeatures,
  entities: OnlineRequest["entities"],
): Map<string, string[]> {
  const ofEntity = (entity: string, parts: Readonly<Record<string, KeyType>>) =>
    entities.map((given) => {
      const key = entityKey(given, parts);
      if (key === undefined) throw wrongEntity(entity, parts, given);
      return key;
    });
  return new Map([...keysOf].map(([entity, parts]) => [entity, ofEntity(entity, parts)]));
}

function toReply(entity: OnlineRow["entity"], row: FeatureRow): OnlineRow {
  const { values, statuses, eventTimes, approximate } = row;
  return {
    entity,
    values,
    statuses,
    eventTimes: eventTimes.map((time) => time === null ? null : toInstant(time)),
    ...(approximate.length > 0 ? { approximate } : {}),
  };
}

/**
 * The request values of each entity.
 *
 * @throws {AppError} `invalid` when one that an on-demand feature reads is missing or of another type
 */
function valuesOf(
  { request, entities }: OnlineRequest,
  { request: declared }: FeaturePlan,
): (index: number) => RequestValues {
  if (declared.size === 0) return () => ({});
  const list = Array.isArray(request) ? request : undefined;
  if (list !== undefined && list.length !== entities.length) {
    throw invalid(
      `Cannot read features: "request" has values for ${list.length} of ${entities.length} entities`,
    );
  }
  const one = list === undefined ? request as RequestValues | undefined : undefined;
  const reasons = (list ?? [one ?? {}]).flatMap((values, index): Reason[] =>
    [...declared].flatMap(([name, type]): Reason[] => {
      const value = Object.hasOwn(values, name) ? values[name] : undefined;
      if (value === null || typeof value === type) return [];
      const path = list === undefined ? `/request/${name}` : `/request/${index}/${name}`;
      return [{ path, message: `${describe(value)}: an on-demand feature reads a ${type}, or null` }];
    })
  );
  const [first] = reasons;
  if (first !== undefined) throw invalid(`Cannot read features: ${first.path} ${first.message}`, reasons);
  return (index) => list?.[index] ?? one ?? {};
}

function describe(value: FeatureValue | undefined): string {
  return value === undefined ? "is missing" : `is ${JSON.stringify(value)}`;
}

/** Rows are written twice where an answer could be too large for its message, else never for this. */
class Room {
  #left: number;
  #isFirst = true;

  constructor(reply: ReplyOf<typeof online>, maxBytes: number | undefined) {
    this.#left = maxBytes === undefined ? Infinity : maxBytes - byteLength(reply) - MARGIN_BYTES;
  }

  /** @throws {AppError} `too_large` when not even one row fits */
  takes(row: OnlineRow): boolean {
    if (this.#left === Infinity) return true;
    this.#left -= byteLength(row) + 1;
    if (this.#left < 0 && this.#isFirst) {
      throw tooLarge(
        "Cannot read features: one entity's are more than a message holds; ask for fewer, or over HTTP",
      );
    }
    this.#isFirst = false;
    return this.#left >= 0;
  }
}

/** For `next`, and for brackets. */
const MARGIN_BYTES = 256;

const encoder = new TextEncoder();

function byteLength(value: unknown): number {
  return encoder.encode(JSON.stringify(value)).length;
}
