/** The SQL of looking at stored events. @module */
import type { StoredEvent } from "./events.ts";
import type { Instant } from "shared/contracts/time.ts";
import type { Queryable } from "shared/db/connection.ts";

/** Days (`2011-05-02`) on which records of a source arrived that are still stored, the last one first. */
export async function listDaysOf(db: Queryable, source: string): Promise<string[]> {
  const rows = await db<{ day: string }[]>`
    select day from ledger where source = ${source} and stored > removed order by day desc`;
  return rows.map(({ day }) => day);
}

/** About what an event has besides its data. */
const ENVELOPE_BYTES = 250;
/** What is read of a day's records: the answer is bounded by less. */
const MAX_BYTES = 4 * 1024 * 1024;

/** An event as it is shown, with about its bytes in an answer. */
export interface ListedEvent extends Pick<StoredEvent, "id" | "time" | "knownAt" | "definition" | "data"> {
  arrivedAt: Instant;
  bytes: number;
}

/** The records of a source that arrived on a day, the last one first. */
export async function listStoredEvents(
  db: Queryable,
  { source, day, limit }: { source: string; day: string; limit: number },
): Promise<ListedEvent[]> {
  return [
    ...await db<ListedEvent[]>`
    select id, time, "knownAt", "arrivedAt", definition, data, bytes
    from (
      select *, row_number() over newest_first as place,
        sum(bytes) over newest_first - bytes as bytes_before
      from (
        select id, event_time as time, known_at as "knownAt", arrived_at as "arrivedAt", definition, data, sequence,
          position, octet_length(data::text) + ${ENVELOPE_BYTES} as bytes
        from events
        where source = ${source}
          and arrived_at >= ${day}::date and arrived_at < ${day}::date + 1
        order by arrived_at desc, sequence desc, position desc
        limit ${limit}
      ) as newest
      window newest_first as (order by "arrivedAt" desc, sequence desc, position desc)
    ) as measured
    where bytes_before < ${MAX_BYTES}
    order by place`,
  ];
}
