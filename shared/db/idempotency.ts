/**
 * Mutations that answer the same to the same idempotency key.
 *
 * A key belongs to an endpoint and is good for 24 hours; after that it may be forgotten at any time, by the keyed
 * calls that come later. Only answers are kept: a call that failed may be tried again under its key.
 *
 * @module
 */
import type { CallContext } from "../contracts/endpoint.ts";
import { busy, conflict, invalid } from "../errors.ts";
import { type Database, type Queryable, type Transaction, transaction } from "./connection.ts";
import { jsonHash } from "./json_hash.ts";

const MAX_KEY_LENGTH = 255;

export interface KeyedCall {
  /** What the key belongs to: the subject of the endpoint. */
  endpoint: string;
  /** JSON; a key that comes again with another request is refused. */
  request: unknown;
}

/**
 * Runs `work` in a transaction, once for each idempotency key: the same key with the same request gets the first
 * call's answer, also when both come at once (the second waits). Without a key it is just a transaction.
 *
 * `work` may run again when the transaction must be repeated, so it does nothing but talk to the transaction. Its
 * answer must be JSON.
 *
 * @throws {AppError} `conflict` when the key came with another request before
 */
export async function once<T>(
  db: Database,
  context: Pick<CallContext, "idempotencyKey">,
  call: KeyedCall,
  work: (tx: Transaction) => Promise<T>,
): Promise<T> {
  const { idempotencyKey: key } = context;
  if (key === undefined) return await transaction(db, work);
  if (key === "" || key.length > MAX_KEY_LENGTH) {
    throw invalid(
      `Cannot answer ${call.endpoint}: the idempotency key must have 1 to ${MAX_KEY_LENGTH} characters, ` +
        `not ${key.length}`,
    );
  }
  const requestHash = jsonHash(call.request);
  return await transaction(db, async (tx) => {
    // A second call with this key waits here for the end of the first one's transaction.
    const claimed = await tx`
      insert into idempotency_keys (endpoint, key, request_hash)
      values (${call.endpoint}, ${key}, ${requestHash})
      on conflict do nothing`;
    if (claimed.count === 0) return await earlierReply<T>(tx, { endpoint: call.endpoint, key, requestHash });

    const reply = await work(tx);
    await tx`
      update idempotency_keys
      set reply = ${JSON.stringify(reply) ?? null}::text::json
      where endpoint = ${call.endpoint} and key = ${key}`;
    await forgetOldKeys(tx);
    return reply;
  });
}

/**
 * The answer that a key has got already, for a call that must look at what may have changed since, such as a neighbour,
 * before it comes to {@link once}.
 *
 * @returns `undefined` without a key, and for one that was not answered yet
 * @throws {AppError} `conflict` when the key came with another request before
 */
export async function answered<T>(
  db: Database,
  { idempotencyKey: key }: Pick<CallContext, "idempotencyKey">,
  { endpoint, request }: KeyedCall,
): Promise<T | undefined> {
  if (key === undefined) return undefined;
  return await findReply<T>(db, { endpoint, key, requestHash: jsonHash(request) });
}

async function earlierReply<T>(tx: Transaction, call: AnsweredCall): Promise<T> {
  const reply = await findReply<T>(tx, call);
  // It was that old: forgotten between the two statements.
  if (reply === undefined) throw busy(`Cannot answer ${call.endpoint}: its idempotency key has just expired`);
  return reply;
}

interface AnsweredCall {
  endpoint: string;
  key: string;
  requestHash: string;
}

async function findReply<T>(
  db: Queryable,
  { endpoint, key, requestHash }: AnsweredCall,
): Promise<T | undefined> {
  const [earlier] = await db<{ requestHash: string; reply: T }[]>`
    select request_hash as "requestHash", reply
    from idempotency_keys
    where endpoint = ${endpoint} and key = ${key}`;
  if (earlier === undefined) return undefined;
  if (earlier.requestHash !== requestHash) {
    throw conflict(
      `Cannot answer ${endpoint}: the idempotency key "${key}" was used for another request: ` +
        `a new request must have a new key`,
    );
  }
  return earlier.reply;
}

/** A few at a time: more than are made, so that the table stays small, and never long. */
async function forgetOldKeys(tx: Transaction): Promise<void> {
  await tx`
    delete from idempotency_keys
    where ctid = any(array(
      select ctid
      from idempotency_keys
      where created_at < now() - interval '24 hours'
      limit 10
      for update skip locked
    ))`;
}
