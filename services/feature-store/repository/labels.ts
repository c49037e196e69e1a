/** The SQL of published labels and of how far they are published. @module */
import type { FeatureValue } from "shared/contracts/feature_store.ts";
import { type Instant, toInstant } from "shared/contracts/time.ts";
import type { Queryable, Transaction } from "shared/db/connection.ts";
import type { KnownLabel, LabelChange } from "../domain/label_revisions.ts";

/** How far the labels of a model are published. */
export interface LabelProgress {
  model: string;
  /** Of the label's definition. */
  version: number;
  maturedUntil: Instant | null;
  /** A pass under way to this T ... */
  passUntil: Instant | null;
  /** ... or over the records applied below this transaction. */
  passBelowTx: number | null;
  /** The entity key up to which the pass has come. */
  passAfter: string;
  /** Records applied below this transaction are looked at. */
  lookedBelowTx: number;
  published: number;
  corrections: number;
  /** Labels of T up to this are neither corrected nor published again. */
  forgottenUntil: Instant | null;
}

const columns = (db: Queryable) =>
  db`model, version, matured_until as "maturedUntil", pass_until as "passUntil", pass_below_tx as "passBelowTx",
    pass_after as "passAfter", looked_below_tx as "lookedBelowTx", published, corrections,
    forgotten_until as "forgottenUntil"`;

export async function readLabelProgress(db: Queryable, model: string): Promise<LabelProgress | undefined> {
  const [row] = await db<LabelProgress[]>`select ${columns(db)} from label_progress where model = ${model}`;
  return row && { ...row };
}

/** Ours until the transaction ends; made at the first call. Undefined while another copy has it. */
export async function lockLabelProgress(
  tx: Transaction,
  { model, version }: { model: string; version: number },
): Promise<LabelProgress | undefined> {
  await tx`
    insert into label_progress (model, version, looked_below_tx)
    values (${model}, ${version}, ${await horizon(tx)})
    on conflict do nothing`;
  const [row] = await tx<LabelProgress[]>`
    select ${columns(tx)} from label_progress where model = ${model} for update skip locked`;
  return row && { ...row };
}

export async function saveLabelProgress(tx: Transaction, progress: LabelProgress): Promise<void> {
  await tx`
    update label_progress
    set version = ${progress.version}, matured_until = ${progress.maturedUntil},
      pass_until = ${progress.passUntil}, pass_below_tx = ${progress.passBelowTx},
      pass_after = ${progress.passAfter}, looked_below_tx = ${progress.lookedBelowTx},
      published = ${progress.published}, corrections = ${progress.corrections}
    where model = ${progress.model}`;
}

/** Everything that was stored below this transaction is visible, and nothing will be stored there any more. */
export async function horizon(tx: Transaction): Promise<number> {
  const [row] = await tx<{ xmin: number }[]>`
    select pg_snapshot_xmin(pg_current_snapshot())::text::bigint as xmin`;
  return row!.xmin;
}

/** The next entities that records were applied to or withdrawn from, in the order of keys, with the first event time. */
export async function readTouched(
  tx: Transaction,
  query: {
    entity: string;
    sources: readonly string[];
    fromTx: number;
    belowTx: number;
    /** Later records touch no label that is published. */
    until: Instant;
    after: string;
    limit: number;
  },
): Promise<{ key: string; fromMs: number }[]> {
  const rows = await tx<{ key: string; first: number }[]>`
    select entity_key as key, date_part('epoch', min(event_time)) as first from records
    where (
        (applied_tx >= ${query.fromTx} and applied_tx < ${query.belowTx})
        or (withdrawn_tx >= ${query.fromTx} and withdrawn_tx < ${query.belowTx})
      )
      and entity = ${query.entity} and source = any(${query.sources as string[]})
      and event_time <= ${query.until} and entity_key > ${query.after}
    group by entity_key order by entity_key limit ${query.limit}`;
  return rows.map(({ key, first }) => ({ key, fromMs: Math.round(first * 1_000) }));
}

/** What is published of some entities, by T. */
export async function readPublished(
  tx: Transaction,
  { model, keys }: { model: string; keys: readonly string[] },
): Promise<KnownLabel[]> {
  const rows = await tx<{ key: string; at: Instant; value: FeatureValue; revision: number }[]>`
    select entity_key as key, at, value, revision from published_labels
    where model = ${model} and entity_key = any(${keys as string[]})`;
  return rows.map(({ at, ...row }) => ({ ...row, atMs: Date.parse(at) }));
}

export async function savePublished(
  tx: Transaction,
  model: string,
  changes: readonly LabelChange[],
): Promise<void> {
  const rows = changes.map(({ key, atMs, value, revision }) => ({
    key,
    at: toInstant(atMs),
    value,
    revision,
  }));
  await tx`
    insert into published_labels (model, entity_key, at, value, revision)
    select ${model}, key, at, coalesce(value, 'null'), revision
    from json_to_recordset(${JSON.stringify(rows)}::text::json) as changed(
      key text, at timestamptz, value jsonb, revision integer
    )
    on conflict (model, entity_key, at) do update set value = excluded.value, revision = excluded.revision`;
}

/**
 * Says of every model that its labels of T long before the last one that is published are forgotten. A step that
 * publishes has the row locked: it is over, or sees this.
 */
export async function moveForgottenUntil(db: Queryable, keepDays: number): Promise<void> {
  await db`
    update label_progress set forgotten_until = matured_until - make_interval(days => ${keepDays})
    where matured_until - make_interval(days => ${keepDays}) > coalesce(forgotten_until, '-infinity')`;
}

/** @returns how many were removed: with fewer than the limit, all that are forgotten */
export async function removeForgotten(db: Queryable, limit: number): Promise<number> {
  const removed = await db`
    delete from published_labels where ctid = any(array(
      select old.ctid from label_progress as progress
      cross join lateral (
        select ctid from published_labels
        where model = progress.model and at <= progress.forgotten_until limit ${limit}
      ) as old
      limit ${limit}
    ))`;
  return removed.count;
}
