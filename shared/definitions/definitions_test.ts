import { assertEquals, assertRejects } from "@std/assert";
import { z } from "zod";
import { readBucket } from "../bus/bucket.ts";
import type { Bus } from "../bus/connection.ts";
import {
  listDefinitions,
  putDefinition,
  removeDefinition,
  type StoredDefinition,
  storedDefinitionSchema,
} from "../contracts/definition.ts";
import type { CallContext } from "../contracts/endpoint.ts";
import { BUCKET } from "../contracts/streams.ts";
import { connectDatabase, type Database } from "../db/connection.ts";
import { createOutbox } from "../db/outbox.ts";
import { AppError, invalid } from "../errors.ts";
import { silentLogger } from "../log.ts";
import { startTestBus } from "../testing/bus.ts";
import { createTestDatabase } from "../testing/database.ts";
import { eventually } from "../testing/poll.ts";
import { createDefinitions, type DefinitionChange } from "./definitions.ts";

const service = "shop";
const shapeSchema = z.object({
  sides: z.int().min(3),
  /** The order of these fields is part of the definition. */
  corners: z.record(z.string(), z.string()).default({}),
});
const tintSchema = z.object({ colour: z.string() });
const endpoints = {
  putShape: putDefinition(service, "shape", shapeSchema),
  removeShape: removeDefinition(service, "shape"),
  putTint: putDefinition(service, "tint", tintSchema),
  removeTint: removeDefinition(service, "tint"),
  list: listDefinitions(service),
};

const context: CallContext = { actor: "ada", idempotencyKey: undefined, traceparent: undefined };

/** One copy of a service that owns shapes and tints. */
async function startCopy(
  db: Database,
  bus: Bus,
  { prove }: { prove?: (name: string) => Promise<void> } = {},
) {
  const outbox = createOutbox(db, bus, silentLogger);
  const definitions = createDefinitions({ db, bus, log: silentLogger, outbox }, {
    service,
    kinds: [
      {
        kind: "shape",
        body: shapeSchema,
        put: endpoints.putShape,
        remove: endpoints.removeShape,
        check(name: string, body: z.output<typeof shapeSchema>) {
          if (body.sides === 13) throw invalid(`Cannot put the shape "${name}": 13 sides bring bad luck`);
        },
      },
      {
        kind: "tint",
        body: tintSchema,
        put: endpoints.putTint,
        remove: endpoints.removeTint,
        ...(prove === undefined ? {} : { prove }),
      },
    ],
    list: endpoints.list,
  });
  const changes: DefinitionChange[] = [];
  definitions.onChange((change) => changes.push(change));
  await definitions.part.start();
  await outbox.start();

  async function send<Reply>(
    endpoint: { subject: string },
    request: unknown,
    more: Partial<CallContext> = {},
  ) {
    const bound = definitions.endpoints.find((one) => one.endpoint.subject === endpoint.subject);
    return await bound!.handler(request, { ...context, ...more }) as Reply;
  }

  return {
    definitions,
    changes,
    put: (project: string, name: string, body: unknown, more?: Partial<CallContext>) =>
      send<{ version: number; changed: boolean }>(endpoints.putShape, { project, name, body }, more),
    putTint: (name: string, body: unknown, more?: Partial<CallContext>) =>
      send<{ version: number; changed: boolean }>(endpoints.putTint, { project: "one", name, body }, more),
    remove: (project: string, name: string) =>
      send<{ removed: boolean }>(endpoints.removeShape, { project, name }),
    list: (project?: string) => send<{ definitions: StoredDefinition[] }>(endpoints.list, { project }),
    async [Symbol.asyncDispose]() {
      await outbox.stop();
      await definitions.part.stop();
    },
  };
}

function inBucket(bus: Bus, name: string): Promise<StoredDefinition | undefined> {
  return readBucket(bus, BUCKET.definitions, `${service}.shape.${name}`, storedDefinitionSchema(z.unknown()));
}

Deno.test("put creates a definition, announces it, and changes it only when the body differs", async () => {
  await using bus = await startTestBus();
  await using database = await createTestDatabase("alert");
  await using copy = await startCopy(database.db, bus);

  const body = { sides: 3, corners: { top: "a", left: "b", a_longer_one: "c", x: "d" } };
  assertEquals(await copy.put("one", "triangle", body), { version: 1, changed: true });
  const { changedAt, ...created } = (await copy.definitions.get("shape", "triangle"))!;
  assertEquals(created, { project: "one", kind: "shape", name: "triangle", version: 1, body, actor: "ada" });
  const stored = await eventually(() => inBucket(bus, "triangle").then((found) => found ?? false));
  assertEquals(stored, { ...created, changedAt });
  assertEquals(Object.keys((stored.body as typeof body).corners), ["top", "left", "a_longer_one", "x"]);

  const sameBody = { corners: { x: "d", left: "b", a_longer_one: "c", top: "a" }, sides: 3 };
  assertEquals(await copy.put("one", "triangle", sameBody), { version: 1, changed: false });
  assertEquals(await copy.put("one", "triangle", { sides: 4 }), { version: 2, changed: true });
  assertEquals((await copy.definitions.get("shape", "triangle"))?.body, { sides: 4, corners: {} });
  await eventually(async () => assertEquals((await inBucket(bus, "triangle"))?.version, 2));

  const first = await copy.definitions.version("shape", "triangle", 1);
  assertEquals(first?.body, body);
  assertEquals(Object.keys(first!.body.corners), Object.keys(body.corners));
  assertEquals(await copy.definitions.version("shape", "triangle", 3), undefined);
  assertEquals(copy.changes.map(({ name, definition }) => [name, definition?.version]), [
    ["triangle", 1],
    ["triangle", 2],
  ]);
});

Deno.test("put refuses a body that is wrong by its schema or by the check, and writes nothing", async () => {
  await using bus = await startTestBus();
  await using database = await createTestDatabase("alert");
  await using copy = await startCopy(database.db, bus);
  const wrong = await assertRejects(() => copy.put("one", "line", { sides: 2 }), AppError);
  assertEquals(wrong.code, "invalid");
  assertEquals(wrong.reasons.map(({ path }) => path), ["/sides"]);
  await assertRejects(() => copy.put("one", "unlucky", { sides: 13 }), AppError, "bad luck");
  assertEquals(await copy.list(), { definitions: [] });
  assertEquals([...await database.db`select from outbox`], []);
});

Deno.test("put proves what is new before its transaction, which holds no connection however long that takes", async () => {
  await using bus = await startTestBus();
  await using database = await createTestDatabase("alert");
  const db = connectDatabase({ url: database.url, log: silentLogger, max: 1 });
  const proven: string[] = [];
  let trial = () => Promise.resolve();
  await using copy = await startCopy(db, bus, {
    async prove(name) {
      proven.push(name);
      await trial();
    },
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  trial = () => promise;
  const keyed = { idempotencyKey: "a key" };
  const putting = copy.putTint("red", { colour: "ruby" }, keyed);
  await eventually(() => assertEquals(proven, ["red"]));
  // The only connection is free.
  assertEquals([...await db`select 1 as one`], [{ one: 1 }]);
  resolve();
  assertEquals(await putting, { version: 1, changed: true });
  // What is in force already, and what was answered already, is proven no more.
  assertEquals(await copy.putTint("red", { colour: "ruby" }), { version: 1, changed: false });
  assertEquals(await copy.putTint("red", { colour: "ruby" }, keyed), { version: 1, changed: true });
  assertEquals(proven, ["red"]);
  trial = () => Promise.reject(invalid("it does not hold"));
  await assertRejects(() => copy.putTint("red", { colour: "rust" }), AppError, "it does not hold");
  assertEquals((await copy.putTint("red", { colour: "ruby" })).version, 1);
  await db.end();
});

Deno.test("put and remove refuse another project's name, and say whose it is", async () => {
  await using bus = await startTestBus();
  await using database = await createTestDatabase("alert");
  await using copy = await startCopy(database.db, bus);
  await copy.put("one", "triangle", { sides: 3 });
  for (
    const change of [() => copy.put("two", "triangle", { sides: 3 }), () => copy.remove("two", "triangle")]
  ) {
    const error = await assertRejects(change, AppError, `the name belongs to the project "one"`);
    assertEquals(error.code, "conflict");
  }
  assertEquals((await copy.definitions.get("shape", "triangle"))?.project, "one");
});

Deno.test("remove ends a definition, keeps its versions, and frees its name", async () => {
  await using bus = await startTestBus();
  await using database = await createTestDatabase("alert");
  await using copy = await startCopy(database.db, bus);
  await copy.put("one", "triangle", { sides: 3 });
  await eventually(() => inBucket(bus, "triangle").then((found) => found !== undefined));
  assertEquals(await copy.remove("one", "triangle"), { removed: true });
  assertEquals(await copy.remove("one", "triangle"), { removed: false });
  assertEquals(await copy.definitions.get("shape", "triangle"), undefined);
  assertEquals(copy.definitions.list("shape"), []);
  await eventually(() => inBucket(bus, "triangle").then((found) => found === undefined));
  assertEquals((await copy.definitions.version("shape", "triangle", 1))?.body.sides, 3);

  assertEquals(await copy.put("two", "triangle", { sides: 3 }), { version: 2, changed: true });
  assertEquals((await copy.definitions.get("shape", "triangle"))?.project, "two");
});

Deno.test("put answers the same to the same idempotency key, whatever came in between", async () => {
  await using bus = await startTestBus();
  await using database = await createTestDatabase("alert");
  await using copy = await startCopy(database.db, bus);
  const key = { idempotencyKey: "k" };
  assertEquals(await copy.put("one", "triangle", { sides: 3 }, key), { version: 1, changed: true });
  await copy.put("one", "triangle", { sides: 4 });
  assertEquals(await copy.put("one", "triangle", { sides: 3 }, key), { version: 1, changed: true });
  assertEquals((await copy.definitions.get("shape", "triangle"))?.version, 2);
});

Deno.test("twenty puts of one name at once make versions without a gap, and the last stands everywhere", async () => {
  await using bus = await startTestBus();
  await using database = await createTestDatabase("alert");
  await using copy = await startCopy(database.db, bus);
  await using other = await startCopy(database.db, bus);
  const copies = [copy, other];
  const replies = await Promise.all(
    Array.from({ length: 20 }, (_, index) => copies[index % 2]!.put("one", "round", { sides: 100 + index })),
  );
  const versions = replies.map(({ version }) => version).sort((a, b) => a - b);
  assertEquals(versions, Array.from({ length: 20 }, (_, index) => index + 1));
  const last = (await copy.definitions.version("shape", "round", 20))!;
  await eventually(async () => {
    for (const one of copies) assertEquals(await one.definitions.get("shape", "round"), last);
    assertEquals((await inBucket(bus, "round"))?.version, 20);
  });
});

Deno.test("another copy sees what is put, changed and removed", async () => {
  await using bus = await startTestBus();
  await using database = await createTestDatabase("alert");
  await using copy = await startCopy(database.db, bus);
  await copy.put("one", "square", { sides: 4 });
  await using other = await startCopy(database.db, bus);
  assertEquals(other.definitions.list("shape").map(({ name }) => name), ["square"]);

  await copy.put("one", "hexagon", { sides: 6 });
  await copy.put("one", "square", { sides: 5 });
  await eventually(() =>
    assertEquals(other.definitions.list("shape").map(({ name, version }) => [name, version]), [
      ["hexagon", 1],
      ["square", 2],
    ])
  );
  await copy.remove("one", "hexagon");
  await eventually(() => assertEquals(other.definitions.list("shape").map(({ name }) => name), ["square"]));
});

Deno.test("get finds in the table what the bucket did not tell yet", async () => {
  await using bus = await startTestBus();
  await using database = await createTestDatabase("alert");
  await using copy = await startCopy(database.db, bus);
  await database.db`
    insert into definitions (kind, name, version, project, body, body_hash, actor)
    values ('shape', 'fresh', 1, 'one', ${JSON.stringify({ sides: 7 })}::text::json, 'x', 'bob')`;
  assertEquals(copy.definitions.list("shape"), []);
  assertEquals((await copy.definitions.get("shape", "fresh"))?.body, { sides: 7, corners: {} });
  assertEquals(copy.definitions.list("shape").length, 1);
  assertEquals(await copy.definitions.get("shape", "nothing"), undefined);
});

Deno.test("the list tells the definitions in force, of one project or of all", async () => {
  await using bus = await startTestBus();
  await using database = await createTestDatabase("alert");
  await using copy = await startCopy(database.db, bus);
  await copy.put("one", "triangle", { sides: 3 });
  await copy.put("two", "square", { sides: 4 });
  await copy.put("two", "gone", { sides: 9 });
  await copy.remove("two", "gone");
  const names = ({ definitions }: { definitions: StoredDefinition[] }) => definitions.map(({ name }) => name);
  assertEquals(names(await copy.list()), ["square", "triangle"]);
  assertEquals(names(await copy.list("two")), ["square"]);
  endpoints.list.spec.reply.parse(await copy.list());
});

Deno.test("a start mends the bucket after either side was lost", async () => {
  await using bus = await startTestBus();
  await using database = await createTestDatabase("alert");
  {
    await using copy = await startCopy(database.db, bus);
    await copy.put("one", "kept", { sides: 3 });
    await copy.put("one", "forgotten", { sides: 4 });
    await eventually(async () =>
      (await inBucket(bus, "kept")) && (await inBucket(bus, "forgotten")) ? true : false
    );
  }
  // The bucket lost one, and the table another.
  await bus.jsm.streams.purge(`KV_${BUCKET.definitions}`, {
    filter: `$KV.definitions.${service}.shape.kept`,
  });
  await database.db`delete from definitions where name = 'forgotten'`;
  assertEquals(await inBucket(bus, "kept"), undefined);

  await using copy = await startCopy(database.db, bus);
  assertEquals(copy.definitions.list("shape").map(({ name }) => name), ["kept"]);
  await eventually(async () => {
    assertEquals((await inBucket(bus, "kept"))?.version, 1);
    assertEquals(await inBucket(bus, "forgotten"), undefined);
  });
});
