import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { encodeBatches } from "shared/bus/batch.ts";
import type { Bus } from "shared/bus/connection.ts";
import { publishAll } from "shared/bus/publisher.ts";
import { type Alert, type AlertRuleBody, listAlerts, putAlertRule } from "shared/contracts/alert.ts";
import { EVENT_TYPE } from "shared/contracts/envelope.ts";
import type { Signal } from "shared/contracts/signal.ts";
import { STREAM, subject } from "shared/contracts/streams.ts";
import { AppError } from "shared/errors.ts";
import { crashPointSuite } from "shared/testing/crash_points.ts";
import { createTestDatabase } from "shared/testing/database.ts";
import { eventually } from "shared/testing/poll.ts";
import { startTestService } from "shared/testing/service.ts";
import { storedEvents } from "shared/testing/streams.ts";
import { createApp } from "./app.ts";
import { configSchema } from "./config.ts";

const on = { kind: "drift", subjectType: "model", name: "reorder" };
const rule = (body: Partial<AlertRuleBody> = {}) => ({
  project: "shop",
  name: "reorder-drift",
  body: { on, severity: "critical" as const, ...body },
});

function signal(id: string, status: Signal["status"], changes: Partial<Signal> = {}) {
  const data: Signal = {
    project: "shop",
    ...on,
    status,
    value: 0.4,
    threshold: 0.25,
    summary: `signal ${id} is ${status}`,
    details: {},
    ...changes,
  };
  const at = "2026-01-01T00:00:00.000Z";
  return {
    specversion: "1.0" as const,
    id,
    source: "reorder-monitor",
    type: EVENT_TYPE.signal,
    time: at,
    knownat: at,
    definition: 1,
    data,
  };
}

function publishSignals(bus: Bus, ...signals: ReturnType<typeof signal>[]): Promise<void> {
  const to = { subject: subject.signal(on.kind, on.subjectType, on.name) };
  return publishAll(bus, signals.flatMap((event) => encodeBatches([event], to)));
}

const start = (options: { bus?: Bus; databaseUrl?: string } = {}) =>
  startTestService("alert", configSchema, createApp, options);

Deno.test("alert fires for a breach, publishes the alert, and resolves it when the signal is well", async () => {
  await using service = await start();
  await service.call(putAlertRule, rule());
  await publishSignals(service.bus, signal("1", "breach"), signal("2", "breach"), signal("3", "ok"));

  const published = async () =>
    (await storedEvents<Alert>(service.bus, STREAM.alerts)).map(({ data }) => data);
  await eventually(async () => {
    assertEquals((await published()).map(({ state }) => state), ["firing", "resolved"]);
  });
  const [fired, resolved] = await published();
  assertEquals(fired?.id, resolved?.id);
  assertEquals(fired?.signal.summary, "signal 1 is breach");
  const { alerts } = await service.call(listAlerts, { state: "resolved" });
  assertEquals(alerts, [resolved]);
});

Deno.test("alert counts a signal once when it is published twice", async () => {
  await using service = await start();
  await service.call(putAlertRule, rule({ after: 2 }));
  await publishSignals(service.bus, signal("1", "breach"));
  await publishSignals(
    service.bus,
    signal("1", "breach", { summary: "the same again" }),
    signal("2", "breach"),
  );

  await eventually(async () => {
    const { alerts } = await service.call(listAlerts, {});
    assertEquals(alerts.map(({ summary }) => summary), ["signal 2 is breach"]);
  });
});

Deno.test("alert sets a bad signal aside by itself, and hears its neighbours", async () => {
  await using service = await start();
  await service.call(putAlertRule, rule());
  const bad = signal("1", "breach", { value: "much" as unknown as number });
  const to = { subject: subject.signal(on.kind, on.subjectType, on.name) };
  await publishAll(service.bus, encodeBatches([bad, signal("2", "breach")], to));

  await eventually(async () => assertEquals((await service.call(listAlerts, {})).alerts.length, 1));
  await eventually(async () => {
    const letters = await storedEvents(service.bus, STREAM.deadletter);
    assertEquals(letters.map(({ id }) => id), ["1"]);
  });
});

Deno.test("alert does not hear the signals of another project", async () => {
  await using service = await start();
  await service.call(putAlertRule, rule());
  await publishSignals(service.bus, signal("1", "breach", { project: "other" }), signal("2", "breach"));
  await eventually(async () => assertEquals((await service.call(listAlerts, {})).alerts.length, 1));
});

Deno.test("alert refuses a rule whose name belongs to another project", async () => {
  await using service = await start();
  await service.call(putAlertRule, rule());
  const error = await assertRejects(
    () => service.call(putAlertRule, { ...rule(), project: "other" }),
    AppError,
  );
  assertEquals(error.code, "conflict");
  assertStringIncludes(error.message, "shop");
});

Deno.test("GET /v1/alerts lists alerts over HTTP and refuses a limit beyond its bounds", async () => {
  await using service = await start();
  const response = await fetch(`${service.url}/v1/alerts?limit=5`);
  assertEquals(await response.json(), { alerts: [] });
  const refused = await fetch(`${service.url}/v1/alerts?limit=5000`);
  assertEquals(refused.status, 400);
  assertStringIncludes(JSON.stringify(await refused.json()), "limit");
});

crashPointSuite({
  name: "alert",
  input: { stream: STREAM.signals, durable: "alert" },
  async setUp() {
    const database = await createTestDatabase("alert");
    return { database, [Symbol.asyncDispose]: () => database[Symbol.asyncDispose]() };
  },
  async publish(bus, world) {
    // The rule first: it is kept in the database, and the service under test finds it there.
    await using service = await start({ bus, databaseUrl: world.database.url });
    await service.call(putAlertRule, rule());
    await service.stop();
    await publishSignals(bus, signal("1", "breach"), signal("2", "ok"), signal("3", "breach"));
  },
  start: (bus, world) => start({ bus, databaseUrl: world.database.url }),
  async expectOnce(_bus, world) {
    const rows = await world.database.db`select state from alerts order by since, id`;
    assertEquals(rows.map(({ state }) => state), ["resolved", "firing"]);
    const [waiting] = await world.database.db`select count(*) as messages from outbox`;
    assertEquals(waiting?.messages, 0);
  },
});
