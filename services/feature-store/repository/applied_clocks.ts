/** The SQL of the project clocks that came with what was applied. @module */
import type { Instant } from "shared/contracts/time.ts";
import type { Queryable, Transaction } from "shared/db/connection.ts";

/** Moves the clocks on; none goes back. */
export async function advanceClocks(tx: Transaction, clocks: ReadonlyMap<string, Instant>): Promise<void> {
  if (clocks.size === 0) return;
  // In the order of the names: copies that do so at once lock the rows in one order.
  const projects = [...clocks.keys()].sort();
  await tx`
    insert into applied_clocks as applied (project, clock)
    select * from unnest(
      ${projects}::text[], ${projects.map((project) => clocks.get(project)!)}::timestamptz[]
    )
    on conflict (project) do update set clock = excluded.clock where excluded.clock > applied.clock`;
}

export async function readClock(db: Queryable, project: string): Promise<Instant | undefined> {
  const [row] = await db<{ clock: Instant }[]>`select clock from applied_clocks where project = ${project}`;
  return row?.clock;
}
