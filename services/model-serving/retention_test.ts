import { assertEquals } from "@std/assert";
import { startTestBus } from "shared/testing/bus.ts";
import { createTestDatabase } from "shared/testing/database.ts";
import { eventually } from "shared/testing/poll.ts";
import { startServing } from "./testing/serving.ts";

Deno.test("of each version the last twenty admissions are kept, and none for longer than 90 days", async () => {
  await using bus = await startTestBus();
  await using database = await createTestDatabase("model-serving");
  await using one = await startServing({ bus, databaseUrl: database.url });
  // Versions that were tried by several copies: 7 very often, 8 a little, 9 long ago.
  await one.db`
    insert into admissions (model, version, sha256, instance, admitted, reason, at)
    select 'orders', version, 'abc', 'copy ' || attempt % 2, false, 'attempt ' || attempt,
      now() - make_interval(days => days, secs => 100 - attempt)
    from (values (7, 50, 89), (8, 3, 0), (9, 2, 90)) as tried (version, attempts, days),
      generate_series(1, attempts) as attempt
    order by attempt`;
  await one.stop();

  await using other = await startServing({ bus, databaseUrl: database.url, again: true });
  const kept = (version: number, last: number, count: number) =>
    Array.from({ length: count }, (_, at) => ({ version, reason: `attempt ${last - count + 1 + at}` }));
  await eventually(async () => {
    assertEquals(
      [...await other.db`select version, reason from admissions where model = 'orders' order by version, id`],
      [...kept(7, 50, 20), ...kept(8, 3, 3)],
    );
  });
});
