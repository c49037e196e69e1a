/** Publishing the labels of a model as they mature, and again where a late record changes them. @module */
import { createHash } from "node:crypto";
import { encodeBatches } from "shared/bus/batch.ts";
import type { StoredDefinition } from "shared/contracts/definition.ts";
import { type Entity, entityOf, type KeyType } from "shared/contracts/entity_key.ts";
import { EVENT_TYPE, type PlatformEvent } from "shared/contracts/envelope.ts";
import type { LabelRecord, ModelLabelBody } from "shared/contracts/feature_store.ts";
import { subject } from "shared/contracts/streams.ts";
import { durationToMs, floorToTick, toInstant } from "shared/contracts/time.ts";
import type { Transaction } from "shared/db/connection.ts";
import { enqueue } from "shared/db/outbox.ts";
import { createHistory, createLayout, type History, type LayoutBuilder } from "./domain/history.ts";
import { type LabelPlan, planLabel } from "./domain/label.ts";
import { findChanges, type KnownLabel, type LabelChange, type LabelValue } from "./domain/label_revisions.ts";
import { isEventSpine, planSpine, type SpinePlan } from "./domain/spine.ts";
import {
  horizon,
  type LabelProgress,
  lockLabelProgress,
  readPublished,
  readTouched,
  saveLabelProgress,
  savePublished,
} from "./repository/labels.ts";
import { readHistories, readKeysAfter } from "./repository/records.ts";

export interface LabelStep {
  definition: StoredDefinition<ModelLabelBody>;
  /** The parts of the entity's key. */
  keys: Readonly<Record<string, KeyType>>;
  /** Now by the project's clock: what it has come to was applied. */
  nowMs: number;
}

/** Entities of one transaction. Their whole records are held: few at a time, for this goes on beside everything else. */
const ENTITIES_AT_ONCE = 25;

interface LabelWork extends LabelStep {
  spine: SpinePlan;
  label: LabelPlan;
  layouts: ReadonlyMap<string, LayoutBuilder>;
}

/** What came of a step. */
export interface LabelStepOutcome {
  /** Messages were written into the outbox. */
  enqueued: boolean;
  /** There is more to do at once. */
  more: boolean;
}

/**
 * One step of a pass: a page of entities, with what follows written into the outbox in the same transaction, so that a
 * crash repeats the step or nothing, and copies of the service take turns. A pass goes either to a later T, over every
 * entity, or over the entities that records came late for.
 */
export async function publishLabels(tx: Transaction, step: LabelStep): Promise<LabelStepOutcome> {
  const { name: model, version } = step.definition;
  const stored = await lockLabelProgress(tx, { model, version });
  if (stored === undefined) return NOTHING_DONE;
  const work: LabelWork = { ...step, ...plan(step.definition.body) };
  const progress = await withPass(tx, work, atVersion(stored, version));
  if (progress === undefined) return NOTHING_DONE;

  const page = await nextPage(tx, work, progress);
  if (isIdle(progress, page)) return NOTHING_DONE;
  const known = await readPublished(tx, { model, keys: page.map(({ key }) => key) });
  const changes = findChanges(await computeLabels(tx, work, { page, progress, known }), known);
  if (changes.length > 0) {
    await savePublished(tx, model, changes);
    await enqueue(
      tx,
      encodeBatches(changes.map((change) => toEvent(work, change)), { subject: subject.labels(model) }),
    );
  }
  const next = advance(progress, page);
  await saveLabelProgress(tx, {
    ...next,
    published: progress.published + changes.length,
    corrections: progress.corrections + changes.filter(({ corrects }) => corrects !== null).length,
  });
  return {
    enqueued: changes.length > 0,
    // There is always something applied since: the next look at it can wait.
    more: progress.passUntil !== null || next.passBelowTx !== null,
  };
}

const NOTHING_DONE: LabelStepOutcome = { enqueued: false, more: false };

/** Transactions behind which a look that finds nothing need not be remembered. */
const NEAR_TX = 1_000;

function isIdle(
  { passBelowTx, passAfter, lookedBelowTx }: LabelProgress,
  page: readonly TouchedEntity[],
): boolean {
  return passBelowTx !== null && passAfter === "" && page.length === 0 &&
    passBelowTx - lookedBelowTx < NEAR_TX;
}

function plan({ spine, label }: ModelLabelBody): Pick<LabelWork, "spine" | "label" | "layouts"> {
  const layouts = new Map<string, LayoutBuilder>();
  const layoutOf = (source: string) => {
    const layout = layouts.get(source) ?? createLayout();
    layouts.set(source, layout);
    return layout;
  };
  return {
    spine: planSpine(spine, layoutOf(spine.source)),
    label: planLabel(label, layoutOf(label.source)),
    layouts,
  };
}

/** Another definition says other labels: all of them are looked at anew, and those that differ are published. */
function atVersion(progress: LabelProgress, version: number): LabelProgress {
  if (progress.version === version) return progress;
  return { ...progress, version, maturedUntil: null, passUntil: null, passBelowTx: null, passAfter: "" };
}

/** The pass under way, or the next one; undefined where there is nothing to do. */
async function withPass(
  tx: Transaction,
  { definition: { body }, label, nowMs }: LabelWork,
  progress: LabelProgress,
): Promise<LabelProgress | undefined> {
  if (progress.passUntil !== null || progress.passBelowTx !== null) return progress;
  const settled = nowMs - label.withinMs;
  const until = isEventSpine(body.spine) ? settled : floorToTick(settled, durationToMs(body.spine.every));
  if (progress.maturedUntil === null || until > Date.parse(progress.maturedUntil)) {
    return { ...progress, passUntil: toInstant(until), passAfter: "" };
  }
  const belowTx = await horizon(tx);
  return belowTx > progress.lookedBelowTx ? { ...progress, passBelowTx: belowTx, passAfter: "" } : undefined;
}

/** An entity, and from which T on its labels are looked at. */
interface TouchedEntity {
  key: string;
  fromMs: number;
}

async function nextPage(
  tx: Transaction,
  { definition: { body: { entity } }, spine, label }: LabelWork,
  { passUntil, passBelowTx, passAfter: after, maturedUntil, lookedBelowTx, forgottenUntil }: LabelProgress,
): Promise<TouchedEntity[]> {
  const rememberedMs = forgottenUntil === null ? -Infinity : Date.parse(forgottenUntil) + 1;
  if (passUntil !== null) {
    const keys = await readKeysAfter(tx, { entity, source: spine.source, after, limit: ENTITIES_AT_ONCE });
    const fromMs = maturedUntil === null ? rememberedMs : Date.parse(maturedUntil) + 1;
    return keys.map((key) => ({ key, fromMs }));
  }
  const touched = await readTouched(tx, {
    entity,
    sources: [...new Set([spine.source, label.source])],
    fromTx: lookedBelowTx,
    belowTx: passBelowTx!,
    until: toInstant(Date.parse(maturedUntil!) + label.withinMs),
    after,
    limit: ENTITIES_AT_ONCE,
  });
  return touched.map(({ key, fromMs }) => ({ key, fromMs: Math.max(fromMs - label.withinMs, rememberedMs) }));
}

/** Labels at each T of the spine, and at each T that was published: what was said once is kept right. */
async function computeLabels(
  tx: Transaction,
  { definition: { body }, spine, label, layouts }: LabelWork,
  { page, progress, known }: {
    page: readonly TouchedEntity[];
    progress: LabelProgress;
    known: readonly KnownLabel[];
  },
): Promise<LabelValue[]> {
  if (page.length === 0) return [];
  const untilMs = Date.parse(progress.passUntil ?? progress.maturedUntil!);
  const observeFromMs = body.observeFrom === undefined ? -Infinity : Date.parse(body.observeFrom);
  const firstMs = Math.min(...page.map(({ fromMs }) => fromMs));
  const query = {
    entity: body.entity,
    keys: page.map(({ key }) => key),
    // An event that became known late has its T then, however old it is.
    after: isEventSpine(body.spine) ? -Infinity : firstMs - durationToMs(body.spine.activeWithin) - 1,
    until: untilMs + label.withinMs,
  };
  const records = await Promise.all(
    [...layouts].map(async ([source, { fields, filters }]) => {
      const needed = filters.length > 0 ? undefined : fields;
      return [source, await readHistories(tx, { ...query, source, fields: needed })] as const;
    }),
  );
  const publishedOf = Map.groupBy(known, ({ key }) => key);
  return page.flatMap(({ key, fromMs }) => {
    const histories = new Map<string, History>(
      records.map(([source, byKey]) => [source, createHistory(layouts.get(source)!, byKey.get(key) ?? [])]),
    );
    const range = { fromMs: Math.max(fromMs, observeFromMs), toMs: untilMs, asKnown: "then" } as const;
    const published = (publishedOf.get(key) ?? []).map(({ atMs }) => atMs)
      .filter((atMs) => atMs >= fromMs && atMs <= untilMs);
    const times = new Set([...spine.times(histories.get(spine.source)!, range), ...published]);
    return [...times].map((atMs) => ({
      key,
      atMs,
      value: label.evaluate(histories.get(label.source)!, atMs),
    }));
  });
}

/** A page that is not full was the last one. */
function advance(progress: LabelProgress, page: readonly TouchedEntity[]): LabelProgress {
  if (page.length === ENTITIES_AT_ONCE) return { ...progress, passAfter: page.at(-1)!.key };
  const { passUntil, passBelowTx } = progress;
  return {
    ...progress,
    maturedUntil: passUntil ?? progress.maturedUntil,
    lookedBelowTx: passBelowTx ?? progress.lookedBelowTx,
    passUntil: null,
    passBelowTx: null,
    passAfter: "",
  };
}

function toEvent(
  { definition, keys, label, nowMs }: LabelWork,
  { key, atMs, value, revision, corrects }: LabelChange,
): PlatformEvent<LabelRecord> {
  const maturedAt = toInstant(atMs + label.withinMs);
  const entity: Entity = entityOf(key, keys);
  return {
    specversion: "1.0",
    id: labelId(key, atMs),
    source: definition.name,
    type: EVENT_TYPE.label,
    time: toInstant(atMs),
    knownat: corrects === null ? maturedAt : toInstant(nowMs),
    definition: revision,
    data: {
      project: definition.project,
      model: definition.name,
      entity,
      maturedAt,
      value,
      corrects,
      labelVersion: definition.version,
    },
  };
}

/** An id has at most 256 characters; a key that is longer is named by its hash. */
const MAX_KEY_IN_ID = 200;

function labelId(key: string, atMs: number): string {
  const name = key.length <= MAX_KEY_IN_ID ? key : createHash("sha256").update(key).digest("hex");
  return `${name}@${toInstant(atMs)}`;
}
