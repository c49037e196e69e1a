/** The SQL of finding out what was dealt with before. @module */
import type { Instant } from "shared/contracts/time.ts";
import type { Database, Queryable } from "shared/db/connection.ts";

/** A message by what names it for good: a stream that is made anew counts from 1 again. */
export interface MessageKey {
  source: string;
  sequence: number;
  arrivedAt: Instant;
}

/** Which of these messages an earlier attempt has dealt with. It did so with each as a whole, or not at all. */
export async function findHandled(db: Queryable, messages: readonly MessageKey[]): Promise<Set<number>> {
  const rows = await db<{ sequence: number }[]>`
    with wanted as (
      select *
      from json_to_recordset(${JSON.stringify(messages)}::text::json)
        as r (sequence bigint, "arrivedAt" timestamptz)
    )
    select sequence from wanted
    where exists (
      select from events e where e.sequence = wanted.sequence and e.arrived_at = wanted."arrivedAt"
    ) or exists (
      select from rejected r where r.sequence = wanted.sequence and r.arrived_at = wanted."arrivedAt"
    ) or exists (
      select from removed_messages m where m.sequence = wanted.sequence and m.arrived_at = wanted."arrivedAt"
    ) or exists (
      select from duplicates d where d.sequence = wanted.sequence and d.arrived_at = wanted."arrivedAt"
    )`;
  return new Set(rows.map(({ sequence }) => sequence));
}

/**
 * Remembers the durable that messages come by.
 *
 * @param durable with the last sequence in the stream now
 * @returns the last sequence that was in the stream when the service first met this durable; 0 when nothing had been
 * counted by then, so that there is nothing to look up
 */
export async function noteDurable(
  db: Database,
  { createdAt, lastSequence }: { createdAt: Instant; lastSequence: number },
): Promise<number> {
  const [row] = await db<{ last: number }[]>`
    insert into intake_durable as known (created_at, last_sequence)
    values (${createdAt}, case when exists (select from ledger) then ${lastSequence}::bigint else 0 end)
    on conflict (one) do update
    set created_at = excluded.created_at,
        last_sequence = case
          when known.created_at = excluded.created_at then known.last_sequence else excluded.last_sequence
        end
    returning last_sequence as last`;
  return row!.last;
}
