/** The SQL of what does not hold at the moment, by source. @module */
import type { Instant } from "shared/contracts/time.ts";
import type { Queryable, Transaction } from "shared/db/connection.ts";

export interface Concern {
  source: string;
  /** Of the signal that tells of it. */
  kind: "quality" | "profile";
  /** Names it within its source and kind. */
  concern: string;
  message: string;
  since: Instant;
}

export async function listConcerns(db: Queryable, source?: string): Promise<Concern[]> {
  return await db<Concern[]>`
    select source, kind, concern, message, since
    from source_concerns
    where ${source ?? null}::text is null or source = ${source ?? null}
    order by source, kind, since, concern`;
}

/** One that stands already keeps its beginning. */
export async function saveConcern(tx: Transaction, concern: Concern): Promise<void> {
  await tx`
    insert into source_concerns ${tx(concern as unknown as Record<string, string>)}
    on conflict (source, kind, concern) do update set message = excluded.message`;
}

export async function removeConcern(
  tx: Transaction,
  { source, kind, concern }: Pick<Concern, "source" | "kind" | "concern">,
): Promise<void> {
  await tx`
    delete from source_concerns where source = ${source} and kind = ${kind} and concern = ${concern}`;
}
