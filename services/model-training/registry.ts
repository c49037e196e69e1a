/** Use cases of the registry: a version is added, an alias is moved. @module */
import { encodeBatches } from "shared/bus/batch.ts";
import { bucketPut } from "shared/bus/bucket.ts";
import type { Outgoing } from "shared/bus/publisher.ts";
import { EVENT_TYPE, type PlatformEvent } from "shared/contracts/envelope.ts";
import type { AliasEntry, ModelRegistered } from "shared/contracts/model_training.ts";
import { BUCKET, subject } from "shared/contracts/streams.ts";
import { toInstant } from "shared/contracts/time.ts";
import type { Transaction } from "shared/db/connection.ts";
import { enqueue } from "shared/db/outbox.ts";
import { conflict, notFound } from "shared/errors.ts";
import type { AliasMove, NewVersion } from "./domain/registry.ts";
import { findAlias, findVersion, insertVersion, lockModel, moveAlias } from "./repository/registry.ts";

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

export type AliasWish = Omit<AliasMove, "revision" | "at"> & {
  model: string;
  /** What the alias must point to until now; null for nothing. Default: anything. */
  replaces?: number | null | undefined;
};

/**
 * Points an alias to a version, and tells those who serve it. An alias that points there already stays as it is.
 *
 * @throws {AppError} `not_found` when the model has no such version; `conflict` when the alias points to another version
 * than the one to be replaced
 */
export async function setAlias(
  tx: Transaction,
  wish: AliasWish,
): Promise<{ revision: number; changed: boolean }> {
  const { model, alias, version, replaces, actor } = wish;
  const newest = await lockModel(tx, model);
  const servable = await findVersion(tx, model, version);
  if (servable === undefined) {
    throw notFound(
      `Cannot point the alias "${alias}" of ${model} to version ${version}: ` +
        (newest === 0 ? "the model has no version" : `its versions are 1 to ${newest}`),
    );
  }
  const current = await findAlias(tx, model, alias);
  if (current?.version === version) return { revision: current.revision, changed: false };
  if (replaces !== undefined && replaces !== (current?.version ?? null)) {
    throw conflict(
      `Cannot point the alias "${alias}" of ${model} to version ${version}: it points to ` +
        `${describe(current?.version)}, and must point to ${describe(replaces)}`,
    );
  }

  const { definition, ...told } = servable;
  const revision = (current?.revision ?? 0) + 1;
  await moveAlias(tx, { ...wish, revision });
  const entry: AliasEntry = { model, alias, version, revision, ...told };
  const event = toEvent(entry, { id: `${model}/${alias}/${revision}`, model, definition, actor });
  await enqueue(tx, [
    ...encodeBatches([event], { subject: subject.model("aliased", model) }),
    announceAlias(entry, `${model}.${alias}/${revision}`),
  ]);
  return { revision, changed: true };
}

const describe = (version: number | null | undefined) => version ? `version ${version}` : "no version";

/** The entry of an alias in its bucket, as a message. */
export function announceAlias(entry: AliasEntry, messageId: string): Outgoing {
  return bucketPut(BUCKET.aliases, `${entry.model}.${entry.alias}`, entry, messageId);
}

function toEvent<Data>(
  data: Data,
  { id, model, definition, actor }: { id: string; model: string; definition: number; actor: string },
): PlatformEvent<Data> {
  const at = toInstant(Date.now());
  return {
    specversion: "1.0",
    id,
    source: model,
    type: EVENT_TYPE.model,
    time: at,
    knownat: at,
    definition,
    actor,
    data,
  };
}
