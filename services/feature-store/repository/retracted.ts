/** The SQL of retractions: what the cleaning of a version makes nothing of, whatever was made of it before. @module */
import type { EventKey } from "shared/contracts/envelope.ts";
import type { Transaction } from "shared/db/connection.ts";

/** Removes the records of these events up to their versions, and keeps out what of them comes late. */
export async function retractEvents(tx: Transaction, events: readonly EventKey[]): Promise<void> {
  if (events.length === 0) return;
  const keys = JSON.stringify(events.map(({ source, id, definition }) => ({ source, id, definition })));
  await tx`
    insert into retracted_events as known (source, id, definition)
    select source, id, max(definition)
    from json_to_recordset(${keys}::text::json) as r (source text, id text, definition integer)
    group by source, id
    order by source, id
    on conflict (source, id) do update set definition = greatest(known.definition, excluded.definition)`;
  await tx`
    delete from records
    using json_to_recordset(${keys}::text::json) as r (source text, id text, definition integer)
    where records.source = r.source and records.id = r.id and records.definition <= r.definition`;
}
