/** The SQL of the counts: each changes in the transaction that writes what it counts. @module */
import type { CleaningCounts } from "shared/contracts/data_preprocessing.ts";
import type { Queryable, Transaction } from "shared/db/connection.ts";
import type { CountsEntry } from "../domain/counts.ts";

export async function addToCounts(tx: Transaction, entries: readonly CountsEntry[]): Promise<void> {
  if (entries.length === 0) return;
  // In one order for all copies, so that they wait for each other instead of dying in a deadlock.
  const ordered = entries.toSorted((a, b) => orderOf(a) < orderOf(b) ? -1 : 1);
  await tx`
    insert into counts as c (
      run, source, day, received, clean, filtered, quarantined, duplicates, exploded, held, warned
    )
    select run, source, day, received, clean, filtered, quarantined, duplicates, exploded, held, warned
    from json_to_recordset(${JSON.stringify(ordered)}::text::json) as r (
      run text, source text, day date, received bigint, clean bigint, filtered bigint, quarantined bigint,
      duplicates bigint, exploded bigint, held bigint, warned bigint
    )
    on conflict (run, source, day) do update
    set received = c.received + excluded.received,
        clean = c.clean + excluded.clean,
        filtered = c.filtered + excluded.filtered,
        quarantined = c.quarantined + excluded.quarantined,
        duplicates = c.duplicates + excluded.duplicates,
        exploded = c.exploded + excluded.exploded,
        held = c.held + excluded.held,
        warned = c.warned + excluded.warned`;
  const byReason = ordered.flatMap(({ run, source, day, reasons }) =>
    [...reasons].toSorted().map(([reason, records]) => ({ run, source, day, reason, records }))
  );
  if (byReason.length === 0) return;
  await tx`
    insert into filtered_counts as f (run, source, day, reason, records)
    select run, source, day, reason, records
    from json_to_recordset(${JSON.stringify(byReason)}::text::json)
      as r (run text, source text, day date, reason text, records bigint)
    on conflict (run, source, day, reason) do update set records = f.records + excluded.records`;
}

const orderOf = ({ run, source, day }: CountsEntry) => `${run} ${source} ${day}`;

/** @param flow a replay's run instead of the live flow, one source instead of all */
export async function readCounts(
  db: Queryable,
  { source, run = "" }: { source?: string | undefined; run?: string | undefined } = {},
): Promise<CleaningCounts[]> {
  return await db<CleaningCounts[]>`
    select source,
      sum(received)::bigint as received,
      sum(exploded)::bigint as exploded,
      sum(clean)::bigint as clean, sum(filtered)::bigint as filtered,
      sum(quarantined)::bigint as quarantined, sum(duplicates)::bigint as duplicates,
      sum(held)::bigint as held, sum(warned)::bigint as warned,
      coalesce(
        (
          select json_object_agg(reason, records order by reason)
          from (
            select reason, sum(records) as records
            from filtered_counts f
            where f.run = ${run} and f.source = counts.source
            group by reason
          ) as sums
        ),
        '{}'
      ) as "filteredBy"
    from counts
    where run = ${run} and (${source ?? null}::text is null or source = ${source ?? null})
    group by source
    order by source`;
}
