/** The SQL of leases: work that one copy does at a time. @module */
import type { Queryable, Transaction } from "shared/db/connection.ts";

/** Takes or keeps a lease. @returns whether it is the holder's now */
export async function takeLease(
  db: Queryable,
  { name, holder, seconds }: { name: string; holder: string; seconds: number },
): Promise<boolean> {
  const rows = await db`
    insert into leases as l (name, holder, until)
    values (${name}, ${holder}, now() + ${`${seconds} seconds`}::interval)
    on conflict (name) do update
    set holder = excluded.holder, until = excluded.until
    where l.holder = excluded.holder or l.until < now()
    returning name`;
  return rows.length > 0;
}

/** Whether the lease is the holder's, and stays so until the end of the transaction. */
export async function holdsLease(
  tx: Transaction,
  { name, holder }: { name: string; holder: string },
): Promise<boolean> {
  const rows = await tx`select from leases where name = ${name} and holder = ${holder} for share`;
  return rows.length > 0;
}

export async function giveUpLease(
  db: Queryable,
  { name, holder }: { name: string; holder: string },
): Promise<void> {
  await db`delete from leases where name = ${name} and holder = ${holder}`;
}
