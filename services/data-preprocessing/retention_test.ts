import { assertEquals } from "@std/assert";
import { sourceBodySchema } from "shared/contracts/source.ts";
import type { Database } from "shared/db/connection.ts";
import { silentLogger } from "shared/log.ts";
import { createTestDatabase } from "shared/testing/database.ts";
import { eventually } from "shared/testing/poll.ts";
import { createRetention, forgetOld } from "./retention.ts";

/** Of each table, what is 1, 10 and 100 days old. */
async function fill(db: Database): Promise<void> {
  await db`
    insert into handled_messages (sequence, received_at, handled_at)
    select age, now(), now() - age * interval '1 day' from unnest(array[1, 10, 100]) as age`;
  await db`
    insert into cleaned_events (scope, id, sequence, seen_on)
    select 1, age || '/' || n, age, now()::date - age from unnest(array[1, 10, 100]) as age, generate_series(1, 20000) as n`;
  await db`
    insert into quarantined (source, id, definition, cleaning, event_time, known_at, data, reasons, day)
    select source, age::text, 1, 1, now(), now(), '{}', '[]', now()::date - age
    from unnest(array[1, 10, 100]) as age, unnest(array['brief', 'long', 'gone']) as source`;
  await db`
    insert into entity_states (source, entity, event_time, id, known_at, cleaning, data, kept_at)
    select source, 'A', now() - age * interval '1 day', age::text, now(), 1, '{}', now() - age * interval '1 day'
    from unnest(array[10, 100, 1000]) as age, unnest(array['brief', 'long']) as source`;
  await db`
    insert into used_keys (key, event_time, id, keep_until)
    select gen_random_uuid(), now(), ends::text, now() + ends * interval '1 day' from unnest(array[-31, -29, 1]) as ends`;
}

const sources = new Map([
  ["brief", sourceBodySchema.parse({ kind: "entities", schema: {}, retention: "P5D" })],
  ["long", sourceBodySchema.parse({ kind: "entities", schema: {} })],
]);

async function left(db: Database) {
  const texts = async (rows: PromiseLike<readonly (object | undefined)[]>) =>
    (await rows).map((row) => Object.values(row ?? {}).join(" "));
  return {
    messages: await texts(db`select sequence from handled_messages order by 1`),
    events: await texts(db`select sequence, count(*) from cleaned_events group by 1 order by 1`),
    quarantined: await texts(db`select source, id from quarantined order by source, id::integer`),
    states: await texts(db`select source, id from entity_states order by source, id::integer`),
    keys: await texts(db`select id from used_keys order by 1`),
  };
}

const EXPECTED = {
  messages: ["1", "10"],
  events: ["1 20000", "10 20000"],
  quarantined: ["brief 1", "gone 1", "gone 10", "long 1", "long 10"],
  // The last state of an entity is what it still is.
  states: ["brief 10", "long 10", "long 100", "long 1000"],
  // What comes late may still follow a use that is over.
  keys: ["-29", "1"],
};

Deno.test("forgetOld() forgets what is beyond its time, and what its source does not keep so long", async () => {
  await using database = await createTestDatabase("data-preprocessing");
  const { db } = database;
  await fill(db);
  const settings = { repeatDays: 30, quarantineDays: 60 };
  await forgetOld({ db, sources: () => sources }, settings, new AbortController().signal);
  assertEquals(await left(db), EXPECTED);
});

Deno.test("createRetention() looks in one copy at a time", async () => {
  await using database = await createTestDatabase("data-preprocessing");
  const { db } = database;
  await fill(db);
  const settings = { repeatDays: 30, quarantineDays: 60, instance: "a" };
  const copies = [1, 2].map(() =>
    createRetention({ db, log: silentLogger, sources: () => sources }, settings)
  );
  for (const copy of copies) await copy.start();
  await eventually(async () => assertEquals(await left(db), EXPECTED));
  for (const copy of copies) await copy.stop();
  assertEquals((await db`select from leases`).length, 1);
});
