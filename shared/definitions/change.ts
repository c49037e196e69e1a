/**
 * Putting and removing a definition: checked, written and announced in one transaction.
 *
 * @module
 */
import { bucketPut, bucketRemove } from "../bus/bucket.ts";
import type { Outgoing } from "../bus/message.ts";
import type { StoredDefinition } from "../contracts/definition.ts";
import type { CallContext } from "../contracts/endpoint.ts";
import { BUCKET } from "../contracts/streams.ts";
import type { Database, Transaction } from "../db/connection.ts";
import { answered, once } from "../db/idempotency.ts";
import { jsonHash } from "../db/json_hash.ts";
import { enqueue } from "../db/outbox.ts";
import { conflict } from "../errors.ts";
import { parseWith } from "../validation.ts";
import type { DefinitionKind } from "./kind.ts";
import { type DefinitionRow, insertVersion, lockDefinition, markRemoved, selectCurrent } from "./table.ts";

export interface ChangeDeps {
  db: Database;
  /** The owner. */
  service: string;
}

export interface Put {
  version: number;
  changed: boolean;
}

/** Creates or changes a definition; an equal body, whatever the order of its fields, changes nothing. */
export async function putDefinition(
  { db, service }: ChangeDeps,
  kind: DefinitionKind,
  request: { project: string; name: string; body: unknown },
  context: CallContext,
): Promise<Put> {
  const { project, name } = request;
  const action = `put the ${kind.kind} "${name}"`;
  const body = parseWith(kind.body, request.body, action);
  const bodyHash = jsonHash(body);
  const call = { endpoint: kind.put.subject, request };
  if (kind.prove !== undefined) {
    const earlier = await answered<Put>(db, context, call);
    if (earlier !== undefined) return earlier;
    const current = await selectCurrent(db, kind.kind, name);
    if (current?.bodyHash !== bodyHash) await kind.prove(name, body);
  }
  return await once(db, context, call, async (tx) => {
    const current = await lockCurrent(tx, kind, { project, name, action });
    if (current?.bodyHash === bodyHash) return { version: current.version, changed: false };
    await kind.check?.(name, body, tx);
    const { actor } = context;
    const row = await insertVersion(tx, { project, kind: kind.kind, name, body, bodyHash, actor });
    await enqueue(tx, [announcement(service, kind.kind, name, row)]);
    await kind.afterPut?.(toStored(row), tx);
    return { version: row.version, changed: true };
  });
}

/** Makes the next version of a definition in force with the body that it has, because what it stands for changed. */
export async function repeatDefinition(
  tx: Transaction,
  { service, kind, name, actor }: { service: string; kind: string; name: string; actor: string },
): Promise<StoredDefinition | undefined> {
  await lockDefinition(tx, kind, name);
  const current = await selectCurrent(tx, kind, name);
  if (current === undefined) return undefined;
  const row = await insertVersion(tx, { ...current, actor });
  await enqueue(tx, [announcement(service, kind, name, row)]);
  return toStored(row);
}

/** Removes a definition of the project; its versions are kept, and its name is free. */
export async function removeDefinition(
  { db, service }: ChangeDeps,
  kind: DefinitionKind,
  request: { project: string; name: string },
  context: CallContext,
): Promise<{ removed: boolean }> {
  const { project, name } = request;
  const action = `remove the ${kind.kind} "${name}"`;
  return await once(db, context, { endpoint: kind.remove.subject, request }, async (tx) => {
    const current = await lockCurrent(tx, kind, { project, name, action });
    if (current === undefined) return { removed: false };
    await markRemoved(tx, current, context.actor);
    await kind.afterRemove?.(name, tx);
    await enqueue(tx, [announcement(service, kind.kind, name, undefined)]);
    return { removed: true };
  });
}

/** @throws {AppError} `conflict` when it is another project's */
async function lockCurrent(
  tx: Transaction,
  kind: DefinitionKind,
  { project, name, action }: { project: string; name: string; action: string },
): Promise<DefinitionRow | undefined> {
  await lockDefinition(tx, kind.kind, name);
  const current = await selectCurrent(tx, kind.kind, name);
  if (current !== undefined && current.project !== project) {
    throw conflict(
      `Cannot ${action} of the project "${project}": the name belongs to the project "${current.project}"`,
    );
  }
  return current;
}

/**
 * The entry of the bucket that says what is in force. Its message id is never used twice: a version's number may be,
 * by a database that was made anew while the bucket stayed.
 */
export function announcement(
  service: string,
  kind: string,
  name: string,
  row: DefinitionRow | undefined,
): Outgoing {
  const key = `${service}.${kind}.${name}`;
  const messageId = `definitions.${key}.${crypto.randomUUID()}`;
  return row === undefined
    ? bucketRemove(BUCKET.definitions, key, messageId)
    : bucketPut(BUCKET.definitions, key, toStored(row), messageId);
}

/** A row without what is only the table's. */
export function toStored({ bodyHash: _, ...definition }: DefinitionRow): StoredDefinition {
  return definition;
}
