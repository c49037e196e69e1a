/** When something that one of the copies does now and then was done last. @module */
import type { Queryable } from "shared/db/connection.ts";

/**
 * Whether it is time for something that one of the copies does now and then. It counts as done: what fails is tried
 * again at the next time.
 */
export async function isDue(db: Queryable, name: string, everySeconds: number): Promise<boolean> {
  const rows = await db`
    insert into periodic_work as work (name, done_at) values (${name}, now())
    on conflict (name) do update set done_at = now()
      where work.done_at <= now() - make_interval(secs => ${everySeconds})
    returning name`;
  return rows.length > 0;
}
