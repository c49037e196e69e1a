/** Use cases of the registry: a version is added or retired, an alias is moved, rolled back or removed. @module */
import { encodeBatches } from "shared/bus/batch.ts";
import { bucketPut, bucketRemove } from "shared/bus/bucket.ts";
import type { Outgoing } from "shared/bus/publisher.ts";
import { EVENT_TYPE, type PlatformEvent } from "shared/contracts/envelope.ts";
import type {
  AliasEntry,
  AliasMove,
  ModelRegistered,
  ModelRetired,
  ModelUnaliased,
} from "shared/contracts/model_training.ts";
import { BUCKET, subject } from "shared/contracts/streams.ts";
import { toInstant } from "shared/contracts/time.ts";
import type { Transaction } from "shared/db/connection.ts";
import { enqueue } from "shared/db/outbox.ts";
import { conflict, notFound } from "shared/errors.ts";
import { type NewVersion, rollbackTarget, type ServableVersion } from "./domain/registry.ts";
import { aliasesOf, findAlias, lastRevision, moveAlias, pastMoves } from "./repository/aliases.ts";
import { findVersion, insertVersion, lockModel, retireVersion } from "./repository/versions.ts";

/** Adds a version under the model's next number and announces it. @returns the number */
export async function registerVersion(
  tx: Transaction,
  registered: Omit<NewVersion, "version">,
): Promise<number> {
  const { model, project, sha256, signature, definition, actor, referenceBins } = registered;
  const version = await lockModel(tx, model) + 1;
  await insertVersion(tx, { ...registered, version });
  const data: ModelRegistered = {
    model,
    project,
    version,
    sha256,
    signature,
    referenceBins: [...referenceBins],
  };
  const event = toEvent(data, { id: `${model}/${version}`, model, definition, actor });
  await enqueue(tx, encodeBatches([event], { subject: subject.model("registered", model) }));
  return version;
}

/** Who moves which alias, and why. */
export type AliasChange = Pick<AliasMove, "alias" | "actor" | "reason" | "evidence"> & { model: string };

export type AliasWish = AliasChange & {
  version: number;
  /** What the alias must point to until now; null for nothing. Default: anything. */
  replaces?: number | null | undefined;
};

/**
 * Points an alias to a version, and tells those who serve it. An alias that points there already stays as it is.
 *
 * @throws {AppError} `not_found` when the model has no such version; `conflict` when the version is retired, or the alias
 * points to another version than the one to be replaced
 */
export async function setAlias(
  tx: Transaction,
  wish: AliasWish,
): Promise<{ revision: number; changed: boolean }> {
  const { version, replaces, ...change } = wish;
  const action = `point the alias "${change.alias}" of ${change.model} to version ${version}`;
  const newest = await lockModel(tx, change.model);
  const servable = await servableVersion(tx, { model: change.model, version, newest, action });
  const current = await findAlias(tx, change.model, change.alias);
  if (current?.version === version) return { revision: current.revision, changed: false };
  requireReplaced(action, current?.version, replaces);
  const revision = await point(tx, change, { kind: "set", version, servable });
  return { revision, changed: true };
}

/**
 * Points an alias back to where it pointed before its last move that stands; removes it where that was nothing.
 *
 * @throws {AppError} `conflict` when there is nothing to go back to, when the version before is retired, or when the
 * alias points to another version than `replaces`
 */
export async function rollbackAlias(
  tx: Transaction,
  wish: AliasChange & { replaces?: number | undefined },
): Promise<{ version: number | null; revision: number }> {
  const { replaces, ...change } = wish;
  const { model, alias } = change;
  const action = `roll back the alias "${alias}" of ${model}`;
  const newest = await lockModel(tx, model);
  requireReplaced(action, (await findAlias(tx, model, alias))?.version, replaces);
  const version = rollbackTarget(await pastMoves(tx, model, alias));
  if (version === undefined) {
    throw conflict(`Cannot ${action}: none of its moves stands, there is nothing to go back to`);
  }
  const servable = version === null
    ? undefined
    : await servableVersion(tx, { model, version, newest, action });
  return { version, revision: await point(tx, change, { kind: "rollback", version, servable }) };
}

/** Removes an alias; one that points to nothing stays so. */
export async function removeAlias(
  tx: Transaction,
  change: AliasChange,
): Promise<{ revision: number; changed: boolean }> {
  await lockModel(tx, change.model);
  const current = await findAlias(tx, change.model, change.alias);
  if (current === undefined) {
    return { revision: await lastRevision(tx, change.model, change.alias), changed: false };
  }
  return { revision: await point(tx, change, { kind: "remove", version: null }), changed: true };
}

/**
 * Retires a version: no alias can be pointed to it any more.
 *
 * @throws {AppError} `not_found` when there is none; `conflict` while an alias points to it
 */
export async function retire(
  tx: Transaction,
  wish: { model: string; version: number; actor: string; reason: string },
): Promise<{ changed: boolean }> {
  const { model, version, actor, reason } = wish;
  const action = `retire version ${version} of ${model}`;
  const newest = await lockModel(tx, model);
  const found = await findVersion(tx, model, version);
  if (found === undefined) throw missingVersion(action, newest);
  if (found.retiredAt !== null) return { changed: false };
  const aliases = await aliasesOf(tx, model, version);
  if (aliases.length > 0) {
    throw conflict(
      `Cannot ${action}: it is still served, the alias ${aliases.join(", ")} must point elsewhere first`,
    );
  }
  await retireVersion(tx, wish, { actor, reason });
  const data: ModelRetired = { model, project: found.project, version, reason };
  const event = toEvent(data, {
    id: `${model}/${version}/retired`,
    model,
    definition: found.definition,
    actor,
  });
  await enqueue(tx, encodeBatches([event], { subject: subject.model("retired", model) }));
  return { changed: true };
}

async function servableVersion(
  tx: Transaction,
  { model, version, newest, action }: { model: string; version: number; newest: number; action: string },
): Promise<ServableVersion> {
  const found = await findVersion(tx, model, version);
  if (found === undefined) throw missingVersion(action, newest);
  if (found.retiredAt !== null) {
    throw conflict(`Cannot ${action}: version ${version} was retired at ${found.retiredAt}`);
  }
  return found;
}

const missingVersion = (action: string, newest: number) =>
  notFound(
    `Cannot ${action}: ${newest === 0 ? "the model has no version" : `its versions are 1 to ${newest}`}`,
  );

function requireReplaced(
  action: string,
  current: number | undefined,
  replaces: number | null | undefined,
): void {
  if (replaces === undefined || replaces === (current ?? null)) return;
  throw conflict(
    `Cannot ${action}: it points to ${describe(current)}, and must point to ${describe(replaces)}`,
  );
}

const describe = (version: number | null | undefined) => version ? `version ${version}` : "no version";

/** Moves an alias of a locked model and tells of it. @returns its revision */
async function point(
  tx: Transaction,
  change: AliasChange,
  { kind, version, servable }: Pick<AliasMove, "kind" | "version"> & {
    servable?: ServableVersion | undefined;
  },
): Promise<number> {
  const { model, alias, actor } = change;
  const revision = await lastRevision(tx, model, alias) + 1;
  await moveAlias(tx, { ...change, kind, version, revision });
  const id = `${model}/${alias}/${revision}`;
  if (version === null || servable === undefined) {
    const project = await projectOf(tx, model);
    const data: ModelUnaliased = { model, project, alias, revision };
    const event = toEvent(data, { id, model, definition: null, actor });
    await enqueue(tx, [
      ...encodeBatches([event], { subject: subject.model("unaliased", model) }),
      bucketRemove(BUCKET.aliases, `${model}.${alias}`, `${model}.${alias}/${revision}`),
    ]);
    return revision;
  }
  const { sha256, signature, project, definition } = servable;
  const entry: AliasEntry = { model, alias, version, revision, sha256, signature, project };
  const event = toEvent(entry, { id, model, definition, actor });
  await enqueue(tx, [
    ...encodeBatches([event], { subject: subject.model("aliased", model) }),
    announceAlias(entry, `${model}.${alias}/${revision}`),
  ]);
  return revision;
}

/** A model that has had an alias has a version. */
async function projectOf(tx: Transaction, model: string): Promise<string> {
  return (await findVersion(tx, model, 1))!.project;
}

/** The entry of an alias in its bucket, as a message. */
export function announceAlias(entry: AliasEntry, messageId: string): Outgoing {
  return bucketPut(BUCKET.aliases, `${entry.model}.${entry.alias}`, entry, messageId);
}

interface EventName {
  id: string;
  model: string;
  /** Null where the model is not declared: 0 in the envelope. */
  definition: number | null;
  actor: string;
}

function toEvent<Data>(data: Data, { id, model, definition, actor }: EventName): PlatformEvent<Data> {
  const at = toInstant(Date.now());
  return {
    specversion: "1.0",
    id,
    source: model,
    type: EVENT_TYPE.model,
    time: at,
    knownat: at,
    definition: definition ?? 0,
    actor,
    data,
  };
}
