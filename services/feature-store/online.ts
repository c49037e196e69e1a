/** Reading features of entities at T. @module */
import type { CallContext, JsonText, RequestOf } from "shared/contracts/endpoint.ts";
import { entityKey, type KeyType } from "shared/contracts/entity_key.ts";
import type { FeatureValue, online, RequestValues } from "shared/contracts/feature_store.ts";
import { toInstant } from "shared/contracts/time.ts";
import type { Database } from "shared/db/connection.ts";
import { invalid, type Reason } from "shared/errors.ts";
import { invalidInput } from "shared/validation.ts";
import type { BucketReader } from "./bucket_reader.ts";
import { type AskedFeatures, type FeatureCache, whyNoEntity } from "./catalog.ts";
import type { FeaturePlan } from "./domain/feature_plan.ts";
import type { FeatureClock } from "./feature_clock.ts";
import { readFeatureData } from "./feature_data.ts";
import { OnlineReply } from "./online_reply.ts";
import type { Position } from "./position.ts";
import type { ReadCounter } from "./read_counter.ts";

export interface OnlineDeps {
  db: Database;
  buckets: BucketReader;
  features: FeatureCache;
  clock: FeatureClock;
  position: Pick<Position, "read" | "waitFor">;
  countRead: ReadCounter["count"];
}

type OnlineRequest = RequestOf<typeof online>;

/**
 * @throws {AppError} `not_found` and `invalid` when what is asked for is not there; `timeout` when the position that the
 * read waits for is not reached in time
 */
export async function readOnline(
  { db, buckets, features, clock, position, countRead }: OnlineDeps,
  request: OnlineRequest,
  context: Pick<CallContext, "maxReplyBytes">,
): Promise<JsonText> {
  const { waitFor } = request;
  if (waitFor !== undefined) await position.waitFor(waitFor.position, waitFor);
  const asked = await features.find(request.features);
  countRead(asked.counted, request.entities.length);
  const { plan, project } = asked;
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
  const data = await readFeatureData({ db, buckets }, asked, {
    keys: keysOf(asked, entities, request.from),
    sight,
  });

  const stamp = { at: toInstant(at), position: applied, snapshot: data.snapshot };
  const reply = new OnlineReply(asked, stamp, context.maxReplyBytes);
  for (const [index, entity] of entities.entries()) {
    const number = request.from + index;
    const row = plan.evaluate((view) => data.of(view, index), { ...sight, request: requestValues(number) });
    if (!reply.add(entity, row)) return reply.finish(number);
  }
  return reply.finish(null);
}

/**
 * @param from the number of the first of the entities in the request
 * @throws {AppError} `invalid`, with every entity whose key can't be read
 */
function keysOf(
  { keysOf }: AskedFeatures,
  entities: OnlineRequest["entities"],
  from: number,
): Map<string, string[]> {
  const reasons: Reason[] = [];
  const ofEntity = (entity: string, parts: Readonly<Record<string, KeyType>>) =>
    entities.map((given, index) => {
      const key = entityKey(given, parts);
      if (key !== undefined) return key;
      reasons.push({ path: `/entities/${from + index}`, message: whyNoEntity(entity, parts, given) });
      return "";
    });
  const keys = new Map([...keysOf].map(([entity, parts]) => [entity, ofEntity(entity, parts)]));
  if (reasons.length > 0) throw invalidInput("read features", reasons);
  return keys;
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
