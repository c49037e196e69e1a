/** The SQL that makes the intake repeatable: the messages dealt with, and the guard against duplicates. @module */
import { createHash } from "node:crypto";
import type { Instant } from "shared/contracts/time.ts";
import type { Queryable, Transaction } from "shared/db/connection.ts";

/** A message by what names it for good: a stream that is made anew counts from 1 again. */
export interface MessageKey {
  stream: string;
  sequence: number;
  receivedAt: Instant;
}

/**
 * Claims messages for this transaction: no other one can deal with them, now or later.
 *
 * @param messages of one stream, with the version of the cleaning that is to deal with each; 0: none
 * @returns the sequences of those that were free
 */
export async function claimMessages(
  tx: Transaction,
  messages: readonly (MessageKey & { cleaning: number })[],
): Promise<Set<number>> {
  const rows = await tx<{ sequence: number }[]>`
    insert into handled_messages (stream, sequence, received_at, cleaning)
    select stream, sequence, "receivedAt", cleaning
    from json_to_recordset(${JSON.stringify(messages)}::text::json)
      as r (stream text, sequence bigint, "receivedAt" timestamptz, cleaning integer)
    order by sequence
    on conflict do nothing
    returning sequence`;
  return new Set(rows.map(({ sequence }) => sequence));
}

/** Pins the cleaning of a source to a replay, unless one is. @returns the version that is pinned */
export async function pinCleaning(
  tx: Transaction,
  { run, source, cleaning }: { run: string; source: string; cleaning: number },
): Promise<number> {
  const [row] = await tx<{ cleaning: number }[]>`
    insert into replay_cleanings as pinned (run, source, cleaning) values (${run}, ${source}, ${cleaning})
    on conflict (run, source) do update set cleaning = pinned.cleaning
    returning cleaning`;
  return row!.cleaning;
}

/** Nothing of these messages is to be published when they come again. */
export async function settleMessages(tx: Transaction, messages: readonly MessageKey[]): Promise<void> {
  await tx`
    update handled_messages h
    set settled = true
    from json_to_recordset(${JSON.stringify(messages)}::text::json)
      as r (stream text, sequence bigint, "receivedAt" timestamptz)
    where h.stream = r.stream and h.sequence = r.sequence and h.received_at = r."receivedAt"`;
}

/** Messages dealt with of which something may still have to be published: the cleaning of each, by sequence. */
export async function readUnsettled(
  db: Queryable,
  messages: readonly MessageKey[],
): Promise<Map<number, number>> {
  const rows = await db<{ sequence: number; cleaning: number }[]>`
    select h.sequence, coalesce(h.cleaning, 0) as cleaning
    from json_to_recordset(${JSON.stringify(messages)}::text::json)
      as r (stream text, sequence bigint, "receivedAt" timestamptz)
    join handled_messages h
      on h.stream = r.stream and h.sequence = r.sequence and h.received_at = r."receivedAt"
    where not h.settled`;
  return new Map(rows.map(({ sequence, cleaning }) => [sequence, cleaning]));
}

/** An event by what makes it one of its kind, with the message that brought it. */
export interface Brought {
  source: string;
  id: string;
  definition: number;
  /** Empty: the live flow. */
  run: string;
  sequence: number;
}

const ROWS_PER_STATEMENT = 5_000;

/**
 * Writes events into the guard.
 *
 * @param brought no two of the same event
 * @returns the positions in `brought` of those that were in the guard before
 */
export async function guard(tx: Transaction, brought: readonly Brought[]): Promise<Set<number>> {
  const before = new Set<number>();
  for (let first = 0; first < brought.length; first += ROWS_PER_STATEMENT) {
    const { scopes, ids, sequences } = toColumns(brought.slice(first, first + ROWS_PER_STATEMENT));
    const written = await tx`
      insert into cleaned_events (scope, id, sequence)
      select scope, id, sequence
      from unnest(${scopes}::bigint[], ${ids}::text[], ${sequences}::bigint[]) as r (scope, id, sequence)
      on conflict do nothing`;
    if (written.count === ids.length) continue;
    // Asked for only then, as it costs as much as the writing: what this transaction has not written was there.
    const taken = await tx<{ n: number }[]>`
      select r.n::integer - 1 as n
      from unnest(${scopes}::bigint[], ${ids}::text[]) with ordinality as r (scope, id, n)
      join cleaned_events c on c.scope = r.scope and c.id = r.id
      where c.xmin <> pg_current_xact_id()::xid`;
    for (const { n } of taken) before.add(first + n);
  }
  return before;
}

/** The positions in `brought` of the events that came first by the message named with them. */
export async function findFirstBrought(db: Queryable, brought: readonly Brought[]): Promise<Set<number>> {
  const first = new Set<number>();
  for (let start = 0; start < brought.length; start += ROWS_PER_STATEMENT) {
    const { scopes, ids, sequences } = toColumns(brought.slice(start, start + ROWS_PER_STATEMENT));
    const found = await db<{ n: number }[]>`
      select r.n::integer - 1 as n
      from unnest(${scopes}::bigint[], ${ids}::text[], ${sequences}::bigint[])
        with ordinality as r (scope, id, sequence, n)
      join cleaned_events c on c.scope = r.scope and c.id = r.id and c.sequence = r.sequence`;
    for (const { n } of found) first.add(start + n);
  }
  return first;
}

function toColumns(brought: readonly Brought[]) {
  const scopeOf = createScopes();
  return {
    scopes: brought.map(scopeOf),
    ids: brought.map(({ id }) => id),
    sequences: brought.map(({ sequence }) => sequence),
  };
}

/** What events of one source, definition and run share: neighbours mostly do. */
function createScopes(): (brought: Brought) => string {
  let last: Brought | undefined;
  let scope = "";
  return (brought) => {
    const { source, definition, run } = brought;
    if (last?.source !== source || last.definition !== definition || last.run !== run) {
      last = brought;
      // Names have no line breaks.
      const digest = createHash("md5").update(`${source}\n${definition}\n${run}`).digest();
      scope = String(digest.readBigInt64BE());
    }
    return scope;
  };
}

/** What depends on earlier records of a source is cleaned by one copy at a time, until the end of the transaction. */
export async function lockSource(tx: Transaction, { run, source }: { run: string; source: string }) {
  await tx`select pg_advisory_xact_lock(hashtextextended(${`clean ${run} ${source}`}, 0))`;
}
