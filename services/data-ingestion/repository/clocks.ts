/** The SQL of the clocks of projects. @module */
import type { Instant } from "shared/contracts/time.ts";
import type { Queryable, Transaction } from "shared/db/connection.ts";

/** Moves the clocks of projects on; a clock never goes back. */
export async function advanceClocks(tx: Transaction, newest: ReadonlyMap<string, Instant>): Promise<void> {
  if (newest.size === 0) return;
  const rows = [...newest].map(([project, now]) => ({ project, now }))
    .toSorted((a, b) => a.project < b.project ? -1 : 1);
  await tx`
    insert into clocks as c (project, now)
    select project, now
    from json_to_recordset(${JSON.stringify(rows)}::text::json) as r (project text, now timestamptz)
    on conflict (project) do update set now = greatest(c.now, excluded.now)`;
}

export async function readClocks(db: Queryable, projects: readonly string[]): Promise<Map<string, Instant>> {
  if (projects.length === 0) return new Map();
  const rows = await db<{ project: string; now: Instant }[]>`
    select project, now from clocks where project = any(${projects as string[]})`;
  return new Map(rows.map(({ project, now }) => [project, now]));
}
