/** Storing features that were computed elsewhere. @module */
import { v7 as uuidv7 } from "uuid";
import type { CallContext, ReplyOf, RequestOf } from "shared/contracts/endpoint.ts";
import type { StoredDefinition } from "shared/contracts/definition.ts";
import { entityKey } from "shared/contracts/entity_key.ts";
import { push, type ViewBody } from "shared/contracts/feature_store.ts";
import { toInstant } from "shared/contracts/time.ts";
import type { Database } from "shared/db/connection.ts";
import { once } from "shared/db/idempotency.ts";
import { invalid, notFound, type Reason } from "shared/errors.ts";
import { invalidInput } from "shared/validation.ts";
import { type Definitions, findEntity, whyNoEntity } from "./catalog.ts";
import { entitiesOf } from "./domain/event_records.ts";
import { fieldsOf } from "./domain/view_storage.ts";
import type { FeatureClock } from "./feature_clock.ts";
import { readDescribedEntities } from "./repository/current_definitions.ts";
import { addCounts } from "./repository/source_counts.ts";
import { lockSources } from "./repository/view_versions.ts";
import { type EntityEvent, storeRecords } from "./store_records.ts";

export interface PushDeps {
  db: Database;
  definitions: Pick<Definitions, "view" | "entity">;
  clock: FeatureClock;
}

/** Of what no cleaning made. */
const NO_CLEANING = 0;

/**
 * Pushed rows are records of the view's source like those that its stream brings: known from now on, and read by every
 * view over that source, online and for training sets.
 *
 * @throws {AppError} `not_found` when there is no such view, `invalid` when a row does not name its entity or holds
 * what no feature of the view reads
 */
export async function pushFeatures(
  { db, definitions, clock }: PushDeps,
  request: RequestOf<typeof push>,
  context: CallContext,
): Promise<ReplyOf<typeof push>> {
  const view = await definitions.view(request.view);
  if (view === undefined) throw notFound(`Cannot push features: there is no view "${request.view}"`);
  const { keys } = await findEntity(definitions, view.body.entity);
  refuseUnread(view, request.rows);
  const reasons = request.rows.flatMap(({ entity }, index) =>
    entityKey(entity, keys) !== undefined ? [] : [{
      path: `/rows/${index}/entity`,
      message: whyNoEntity(view.body.entity, keys, entity),
    }]
  );
  if (reasons.length > 0) throw invalidInput("push features", reasons);
  const { source } = view.body;
  return await once(db, context, { endpoint: push.subject, request }, async (tx) => {
    await lockSources(tx, [source]);
    const at = toInstant(await clock.now(view.project));
    const described = (await readDescribedEntities(tx)).get(source) ?? [];
    const events = request.rows.map(({ entity, values, time = at, id = uuidv7() }): EntityEvent => {
      const parts = Object.fromEntries(Object.keys(keys).map((part) => [part, entity[part]!]));
      const data = { ...values, ...parts };
      const places = entitiesOf(data, described).records;
      return { source, id, definition: NO_CLEANING, time, knownAt: at, data, places };
    });
    const stored = (await storeRecords(tx, events)).get(source) ?? 0;
    const duplicates = events.length - stored;
    await addCounts(tx, [{
      source,
      received: events.length,
      records: stored,
      unused: 0,
      duplicates,
      refused: 0,
    }]);
    return { stored, ids: events.map(({ id }) => id), at };
  });
}

function refuseUnread(view: StoredDefinition<ViewBody>, rows: RequestOf<typeof push>["rows"]): void {
  const read = fieldsOf(view.body);
  const reasons = rows.flatMap(({ values }, index): Reason[] =>
    Object.keys(values).filter((field) => !read.has(field)).map((field) => ({
      path: `/rows/${index}/values/${field}`,
      message: `is read by no feature of the view: they read ${[...read].sort().join(", ") || "no field"}`,
    }))
  );
  const [first] = reasons;
  if (first !== undefined) {
    throw invalid(`Cannot push features to the view "${view.name}": ${first.path} ${first.message}`, reasons);
  }
}
