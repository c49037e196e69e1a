import { assertEquals } from "@std/assert";
import { Kvm } from "@nats-io/kv";
import type { ClockKind, ProjectClock } from "shared/contracts/data_ingestion.ts";
import { silentLogger } from "shared/log.ts";
import { startTestBus } from "shared/testing/bus.ts";
import { createTestDatabase } from "shared/testing/database.ts";
import { createClockPublisher } from "./clocks.ts";

async function publishedClock(
  { standing, newest, kind }: { standing?: ProjectClock; newest?: string; kind: ClockKind },
): Promise<ProjectClock | undefined> {
  await using bus = await startTestBus();
  await using database = await createTestDatabase("data-ingestion");
  const { db } = database;
  const kv = await new Kvm(bus.js).open("clocks");
  if (standing) await kv.put("shop", JSON.stringify(standing));
  if (newest) await db`insert into clocks (project, now) values (${"shop"}, ${newest})`;
  const publisher = createClockPublisher({
    db,
    bus,
    log: silentLogger,
    clockKind: () => Promise.resolve(kind),
    projects: () => ["shop"],
  });
  await publisher.start();
  // Stopping puts what waits.
  await publisher.stop();
  const entry = await kv.get("shop");
  return entry?.operation === "PUT" ? entry.json<ProjectClock>() : undefined;
}

const clock = (now: string, kind: ClockKind = "event"): ProjectClock => ({ project: "shop", kind, now });
const OLD = "2011-01-01T00:00:00.000Z";
const NEW = "2011-02-01T00:00:00.000Z";

Deno.test("createClockPublisher() puts at its start what a crash kept back", async () => {
  assertEquals(await publishedClock({ standing: clock(OLD), newest: NEW, kind: "event" }), clock(NEW));
});

Deno.test("createClockPublisher() makes the bucket say what a new database says", async () => {
  assertEquals(await publishedClock({ standing: clock(NEW), newest: OLD, kind: "event" }), clock(OLD));
  assertEquals(await publishedClock({ standing: clock(NEW), kind: "event" }), undefined);
});

Deno.test("createClockPublisher() tells of a wall clock once", async () => {
  assertEquals(
    await publishedClock({ standing: clock(OLD, "wall"), newest: NEW, kind: "wall" }),
    clock(OLD, "wall"),
  );
  const first = await publishedClock({ standing: clock(OLD), kind: "wall" });
  assertEquals(first?.kind, "wall");
});
