/** A view in a database, read as online reads and training sets do. @module */
import type { z } from "zod";
import { type ViewBody, viewBodySchema } from "shared/contracts/feature_store.ts";
import { toInstant } from "shared/contracts/time.ts";
import { type Database, transaction } from "shared/db/connection.ts";
import { silentLogger } from "shared/log.ts";
import { type BucketSource, createBucketQuestion } from "../asked_buckets.ts";
import { createBucketReader } from "../bucket_reader.ts";
import { type FeatureRow, planFeatures } from "../domain/feature_plan.ts";
import { createHistory, type EntityRecord } from "../domain/history.ts";
import type { AskedFeatures } from "../catalog.ts";
import { readFeatureData } from "../feature_data.ts";
import { fillSomething } from "../fill_views.ts";
import { readHistories } from "../repository/records.ts";
import { addViewVersion, lockSources, readViewVersions } from "../repository/view_versions.ts";
import { type EntityEvent, storeRecords } from "../store_records.ts";
import { everyFeature } from "./reference.ts";

/** Of the one entity. */
export const KEY = '["1"]';

type Asked = Pick<AskedFeatures, "plan" | "bucketsAt">;

/** A view over a source of its own, so that runs on one database do not meet. */
export class World {
  readonly body: ViewBody;
  readonly #asked = new Map<string, Asked>();

  constructor(
    readonly db: Database,
    readonly name: string,
    more: Partial<z.input<typeof viewBodySchema>> = {},
  ) {
    this.body = viewBodySchema.parse({ entity: "customer", source: name, features: everyFeature(), ...more });
  }

  async define(version = 1): Promise<void> {
    await this.db`
      insert into definitions (kind, name, version, project, body, body_hash, actor)
      values ('view', ${this.name}, ${version}, 'shop', ${JSON.stringify(this.body)}::text::json,
        ${`${this.name} ${version}`}, 'test')`;
    await transaction(this.db, (tx) => addViewVersion(tx, { name: this.name, version, body: this.body }));
  }

  async store(records: readonly EntityRecord[]): Promise<void> {
    const events = records.map((record): EntityEvent => ({
      source: this.name,
      id: record.id,
      definition: record.definition,
      time: toInstant(record.time),
      knownAt: toInstant(record.knownAt),
      data: record.data,
      places: record.retracted ? [] : [{ entity: "customer", key: KEY }],
      ...(record.retracted ? { retracted: true } : {}),
    }));
    await transaction(this.db, async (tx) => {
      await lockSources(tx, [this.name]);
      await storeRecords(tx, events);
    });
  }

  async fill(): Promise<void> {
    while (await fillSomething(this.db, silentLogger));
  }

  readonly plan = (features = Object.keys(this.body.features)) =>
    planFeatures(
      features.map((feature) => `${this.name}.${feature}`),
      (name) => ({ name, version: 1, project: "shop", body: this.body }),
    );

  /** As an online read does. */
  async online(atMs: number, knownByMs = atMs, features?: string[]): Promise<FeatureRow> {
    const rows = await readViewVersions(this.db, this.name);
    const ready = rows.filter(({ status }) => status === "ready").map((
      { view, id: viewVersion, intactFromMs },
    ) => [view, { viewVersion, intactFromMs }] as const);
    const asked = this.#ask(features, new Map(ready));
    const sight = { atMs, knownByMs };
    const keys = new Map([["customer", [KEY]]]);
    const data = await readFeatureData(
      { db: this.db, buckets: createBucketReader(this.db) },
      asked,
      { keys, sight },
    );
    return asked.plan.evaluate((view) => data.of(view, 0), sight);
  }

  /** Kept from read to read, as the service does. */
  #ask(features: string[] | undefined, ready: ReadonlyMap<string, BucketSource>): Asked {
    const key = JSON.stringify([features, ...ready]);
    const plan = this.plan(features);
    const asked = this.#asked.get(key) ?? { plan, bucketsAt: createBucketQuestion(plan, ready) };
    this.#asked.set(key, asked);
    return asked;
  }

  /** As a training set does. */
  async offline(atMs: number, knownByMs = atMs): Promise<FeatureRow> {
    const plan = this.plan();
    const query = { entity: "customer", source: this.name, keys: [KEY], fields: undefined };
    const records = (await readHistories(this.db, query)).get(KEY) ?? [];
    const history = createHistory(plan.layouts.get(this.name)!, records);
    return plan.evaluate(() => ({ history }), { atMs, knownByMs });
  }
}
