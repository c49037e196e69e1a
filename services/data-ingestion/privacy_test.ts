import type { z } from "zod";
import { assert, assertEquals, assertRejects } from "@std/assert";
import type { Bus } from "shared/bus/connection.ts";
import { call } from "shared/bus/endpoints.ts";
import { loadConfig } from "shared/config.ts";
import * as contract from "shared/contracts/data_ingestion.ts";
import { HEADER } from "shared/contracts/envelope.ts";
import type { sourceBodySchema } from "shared/contracts/source.ts";
import { STREAM } from "shared/contracts/streams.ts";
import type { Database } from "shared/db/connection.ts";
import { AppError } from "shared/errors.ts";
import { Releases } from "shared/lifecycle.ts";
import { createLogger, silentLogger } from "shared/log.ts";
import { createPrivacy } from "shared/privacy.ts";
import { startService } from "shared/service.ts";
import { startTestBus } from "shared/testing/bus.ts";
import { createTestDatabase } from "shared/testing/database.ts";
import { eventually } from "shared/testing/poll.ts";
import { startTestService } from "shared/testing/service.ts";
import { storedMessages } from "shared/testing/streams.ts";
import { headers as createHeaders } from "nats";
import { createApp } from "./app.ts";
import { configSchema } from "./config.ts";

const SECRETS_KEY = "a key of the tests that is long enough";
const privacy = createPrivacy(SECRETS_KEY);

/** The service with its log caught. */
async function startLogged(): Promise<{ bus: Bus; db: Database; log: string[] } & AsyncDisposable> {
  const releases = new Releases(silentLogger);
  const stop = () => releases[Symbol.asyncDispose]();
  try {
    const bus = await startTestBus();
    releases.add("the bus", async () => await bus[Symbol.asyncDispose]());
    const database = await createTestDatabase("data-ingestion");
    releases.add("the database", async () => await database[Symbol.asyncDispose]());
    const log: string[] = [];
    const settings = {
      NATS_URL: "nats://127.0.0.1:4222",
      HTTP_PORT: "0",
      INSTANCE: "test",
      DATABASE_URL: database.url,
      SECRETS_KEY,
    };
    const { db } = await startService(
      { name: "data-ingestion", config: configSchema, createApp },
      loadConfig(configSchema, settings),
      {
        log: createLogger("data-ingestion", {
          level: "trace",
          destination: { write: (line) => log.push(line) },
        }),
        releases,
        bus,
      },
    );
    return { bus, db: db!, log, [Symbol.asyncDispose]: stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

type SourceDefinition = z.input<typeof sourceBodySchema>;

const PURCHASES: SourceDefinition = {
  kind: "events",
  schema: {
    required: ["email", "quantity"],
    properties: {
      email: { type: "string", pattern: "@" },
      card: { type: "object", additionalProperties: { maxLength: 30 } },
      quantity: { type: "integer" },
    },
    not: { required: ["forbidden"] },
  },
  id: ["email"],
  secrets: { email: "hash", card: "drop", "/notes/*/text": "hash" },
};

const LOGINS: SourceDefinition = {
  kind: "logs",
  schema: {},
  format: { pattern: "(?P<user>[^ ]+) in after (?P<seconds>[0-9]+)" },
  secrets: { user: "hash" },
};

const ACCESS: SourceDefinition = { kind: "logs", schema: {}, format: "combined", secrets: { user: "drop" } };

let count = 0;
/** What must be found nowhere. */
const secret = () => `SECRET-${++count}@example.org`;
const purchase = (more: Record<string, unknown> = {}) => ({
  email: secret(),
  card: { [secret()]: secret() },
  notes: [{ text: secret(), n: 1 }],
  quantity: 1,
  ...more,
});
const event = (data: unknown) => ({ specversion: "1.0", id: `e-${++count}`, source: "/t", type: "t", data });

/** Messages with secrets in every place where one can stand. */
function purchases(): { body: unknown; type?: string }[] {
  const twice = purchase();
  return [
    { body: purchase() },
    { body: [purchase(), twice, twice] },
    { body: twice },
    { body: purchase({ email: "SECRET-1" }) },
    { body: purchase({ email: [secret()], card: secret(), notes: secret(), quantity: "one" }) },
    { body: purchase({ card: { [secret()]: "SECRET-".repeat(10) }, forbidden: 1 }) },
    {
      body: purchase({
        email: "SECRET-\u0000@",
        card: { "SECRET-\ud800": 1 },
        notes: [{ text: "SECRET-\u0000" }],
      }),
    },
    { body: `{"email":"${secret()}", "quantity": oops` },
    { body: secret() },
    { body: `"${secret()}"` },
    { body: [[purchase()], secret(), 7, null] },
    {
      body: JSON.stringify(purchase({ notes: 0 })).replace(
        '"notes":0',
        `"notes":${"[".repeat(120)}${"]".repeat(120)}`,
      ),
    },
    { body: new Uint8Array([0xff, ...new TextEncoder().encode(secret())]) },
    { body: event(purchase()) },
    { body: { ...event(purchase({ quantity: 0.5 })), card: secret() } },
    { body: event(JSON.stringify(purchase())) },
    { body: { ...event({}), data_base64: btoa(secret()), note: secret() } },
    { body: event(purchase()), type: "application/cloudevents-batch+json" },
    {
      type: contract.FILE_RECORDS_TYPE,
      body: {
        file: "f00d",
        records: [
          { line: 1, data: purchase() },
          { line: 2, data: purchase({ quantity: "two" }) },
          {
            line: 3,
            text: secret(),
            reason: `must be JSON: Unexpected token S, "${secret()}" is not valid JSON`,
          },
          { line: 4, text: secret() },
          { line: 0, text: secret() },
        ],
      },
    },
    { type: contract.FILE_RECORDS_TYPE, body: { file: 7, records: [{ line: 1, data: purchase() }] } },
  ];
}

function publish(bus: Bus, source: string, { body, type }: { body: unknown; type?: string }): void {
  const headers = createHeaders();
  if (type !== undefined) headers.set(HEADER.contentType, type);
  const data = body instanceof Uint8Array || typeof body === "string" ? body : JSON.stringify(body);
  bus.nc.publish(`events.${source}`, data, { headers });
}

/** The rows of every table, as text. */
async function everyRow(db: Database): Promise<string> {
  const tables = await db<{ name: string }[]>`
    select quote_ident(table_name) as name from information_schema.tables
    where table_schema = 'public' and table_type = 'BASE TABLE'`;
  const texts: string[] = [];
  for (const { name } of tables) {
    for (const row of await db.unsafe(`select t::text as row, to_json(t)::text as json from ${name} t`)) {
      texts.push(`${name}: ${row["row"]} ${row["json"]}`);
    }
  }
  // Binary columns are shown in hex.
  const hex = [...texts.join("\n").matchAll(/\\x([0-9a-f]+)/g)].map(([, bytes]) =>
    new TextDecoder().decode(Uint8Array.fromHex(bytes!))
  );
  return [...texts, ...hex].join("\n");
}

async function everyMessage(bus: Bus, stream: string): Promise<string> {
  const messages = await storedMessages(bus, stream);
  return messages.map(({ data, header }) =>
    [new TextDecoder().decode(data), ...[...(header ?? [])].map(([name, values]) => `${name}: ${values}`)]
      .join("\n")
  ).join("\n");
}

Deno.test("data-ingestion keeps secrets nowhere but in EVENTS, whatever comes in whatever form", async () => {
  await using service = await startLogged();
  const { bus, db, log } = service;
  const put = (name: string, body: SourceDefinition) =>
    call(bus, contract.putSource, { project: "shop", name, body });
  await put("purchases", PURCHASES);
  await put("logins", LOGINS);
  await put("access", ACCESS);
  // What makes a message fail as a whole, with words that show what it was handed.
  await db.unsafe(`
    create function refuse() returns trigger language plpgsql as $$
    begin
      raise exception 'refused %', new.data using detail = new.data::text;
    end $$;
    create trigger refuse before insert on events for each row
      when (new.data->>'quantity' = '666') execute function refuse()`);

  for (const message of purchases()) publish(bus, "purchases", message);
  publish(bus, "purchases", { body: purchase({ quantity: 666 }) });
  publish(bus, "logins", {
    body: `${secret()} in after 3\n${secret()} out\n{"user":"${secret()}"}`,
    type: "text/plain",
  });
  publish(bus, "access", { body: `${secret()}\n127.0.0.1 - ${secret()} ${secret()}` });
  publish(bus, "logins", { body: `{"user":"${secret()}"}` });
  publish(bus, "logins", { body: new Uint8Array([...new TextEncoder().encode(secret()), 0xff]) });
  const errors = [purchase({ quantity: "one" }), purchase({ email: secret().replace("@", "") })].map((data) =>
    assertRejects(() => call(bus, contract.storeEvent, { source: "purchases", event: data }), AppError)
  );
  const replies = (await Promise.all(errors)).map(({ message, reasons }) =>
    JSON.stringify([message, reasons])
  );

  const letters = () => storedMessages(bus, STREAM.deadletter.name);
  await eventually(async () => assertEquals((await letters()).length, 1));
  await eventually(async () => {
    const { num_pending, num_ack_pending } = await bus.jsm.consumers.info(
      STREAM.events.name,
      "data-ingestion",
    );
    assertEquals(num_pending + num_ack_pending, 0);
  });
  const lookEverywhere = async () => {
    const { rejected } = await call(bus, contract.rejected, { limit: 1_000 });
    const places = {
      tables: await everyRow(db),
      ingested: await everyMessage(bus, STREAM.ingested.name),
      deadLetters: await everyMessage(bus, STREAM.deadletter.name),
      log: log.join("\n"),
      replies: replies.join("\n"),
      rejected: JSON.stringify(rejected),
    };
    for (const [place, text] of Object.entries(places)) {
      const at = text.search(/SECRET-|U0VDUkVUL/);
      assert(at < 0, `${place}: ${text.slice(Math.max(0, at - 300), at + 100)}`);
    }
    return { ...places, rejected };
  };
  await lookEverywhere();
  const redriven = await call(bus, contract.redriveRejected, {});
  assert(redriven.rejected > 15, `${redriven.rejected}`);
  const { rejected, ...places } = await lookEverywhere();

  assert((await everyMessage(bus, STREAM.events.name)).includes("SECRET-"));
  // There was something to look at.
  assert(places.tables.includes(privacy.hash("SECRET-1@example.org")));
  assert(places.ingested.includes("hmac:"));
  assert(
    places.deadLetters.includes("sealed:") && places.log.includes("Moved a message to the dead letters"),
  );
  assert(rejected.some(({ sealed }) => sealed) && rejected.some(({ sealed }) => !sealed));

  await db`drop trigger refuse on events`;
  assertEquals((await call(bus, contract.redriveDead, {})).redriven, 1);
  await eventually(async () =>
    assertEquals((await db`select from events where data->>'quantity' = '666'`).length, 1)
  );
});

Deno.test("data-ingestion takes no source with secrets without a key", async () => {
  await using service = await startTestService("data-ingestion", configSchema, createApp);
  const put = { project: "shop", name: "purchases", body: PURCHASES };
  const error = await assertRejects(() => service.call(contract.putSource, put), AppError);
  assertEquals([error.code, error.message], [
    "invalid",
    'Cannot put the source "purchases": it has secrets, and SECRETS_KEY is not set',
  ]);
});

Deno.test("data-ingestion refuses an incompatible change with every reason and the way out", async () => {
  await using service = await startTestService("data-ingestion", configSchema, createApp);
  const put = (body: Partial<SourceDefinition>, name = "orders") =>
    service.call(contract.putSource, {
      project: "shop",
      name,
      body: { kind: "events", schema: {}, ...body },
    });
  await put({ id: ["order"] });
  assertEquals(await put({ id: ["order"], description: "of the shop" }), { version: 2, changed: true });
  const error = await assertRejects(() => put({ time: "at", schema: { required: ["order"] } }), AppError);
  assertEquals(error.code, "conflict");
  assertEquals(
    error.message,
    'Cannot change the source "orders": 3 changes are not compatible with version 2; take a new name, or set ' +
      'compatibility to "none" for a version that stored records are not of',
  );
  assertEquals(error.reasons.map(({ path }) => path), ["/body/id", "/body/time", "/body/schema/required"]);
  const changed = { time: "at", schema: { required: ["order"] } };
  assertEquals(await put(changed, "orders2"), { version: 1, changed: true });
  assertEquals(await put({ ...changed, compatibility: "none" }), { version: 3, changed: true });
});
