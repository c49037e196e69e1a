import { assertEquals, assertRejects } from "@std/assert";
import { AppError } from "../errors.ts";
import { createTestDatabase } from "../testing/database.ts";
import { eventually } from "../testing/poll.ts";
import { once } from "./idempotency.ts";

const call = { endpoint: "shop.v1.order", request: { article: "a", quantity: 2 } };

Deno.test("once() gives the first answer to a key that comes again, and works once", async () => {
  await using database = await createTestDatabase("alert");
  const { db } = database;
  let works = 0;
  const work = () => Promise.resolve({ order: ++works, lines: [{ z: 1, a: null }] });
  const first = await once(db, { idempotencyKey: "k" }, call, work);
  // The order of a request's fields does not make it another request.
  const again = { ...call, request: { quantity: 2, article: "a" } };
  const second = await once(db, { idempotencyKey: "k" }, again, work);
  assertEquals(second, first);
  assertEquals(JSON.stringify(second), JSON.stringify(first));
  assertEquals(works, 1);
});

Deno.test("once() works each time without a key, and for each endpoint and key", async () => {
  await using database = await createTestDatabase("alert");
  const { db } = database;
  let works = 0;
  const work = () => Promise.resolve(++works);
  assertEquals(await once(db, { idempotencyKey: undefined }, call, work), 1);
  assertEquals(await once(db, { idempotencyKey: undefined }, call, work), 2);
  assertEquals(await once(db, { idempotencyKey: "k" }, call, work), 3);
  assertEquals(await once(db, { idempotencyKey: "other" }, call, work), 4);
  assertEquals(await once(db, { idempotencyKey: "k" }, { ...call, endpoint: "shop.v1.cancel" }, work), 5);
});

Deno.test("once() refuses a key that comes with another request", async () => {
  await using database = await createTestDatabase("alert");
  const { db } = database;
  await once(db, { idempotencyKey: "k" }, call, () => Promise.resolve(1));
  const error = await assertRejects(
    () => once(db, { idempotencyKey: "k" }, { ...call, request: { article: "b" } }, () => Promise.resolve(2)),
    AppError,
    `the idempotency key "k" was used for another request`,
  );
  assertEquals(error.code, "conflict");
});

Deno.test("once() lets a second call wait for the first one's answer", async () => {
  await using database = await createTestDatabase("alert");
  const { db } = database;
  const { promise: go, resolve: goOn } = Promise.withResolvers<void>();
  let works = 0;
  const first = once(db, { idempotencyKey: "k" }, call, async (tx) => {
    works++;
    await tx`select 1`;
    await go;
    return "the answer";
  });
  await eventually(() => works === 1);
  const second = once(db, { idempotencyKey: "k" }, call, () => {
    works++;
    return Promise.resolve("another answer");
  });
  await eventually(async () =>
    (await db`select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`)
      .length === 1
  );
  goOn();
  assertEquals(await Promise.all([first, second]), ["the answer", "the answer"]);
  assertEquals(works, 1);
});

Deno.test("once() does not keep a failure: the waiting call works itself", async () => {
  await using database = await createTestDatabase("alert");
  const { db } = database;
  await db`create table orders (number integer)`;
  const { promise: go, resolve: goOn } = Promise.withResolvers<void>();
  let begun = false;
  const first = once(db, { idempotencyKey: "k" }, call, async (tx) => {
    await tx`insert into orders values (1)`;
    begun = true;
    await go;
    throw new Error("sold out");
  });
  const failed = assertRejects(() => first, Error, "sold out");
  await eventually(() => begun);
  const second = once(db, { idempotencyKey: "k" }, call, async (tx) => {
    await tx`insert into orders values (2)`;
    return "ordered";
  });
  goOn();
  await failed;
  assertEquals(await second, "ordered");
  assertEquals([...await db`select number from orders`], [{ number: 2 }]);
});

Deno.test("once() forgets keys that are older than a day", async () => {
  await using database = await createTestDatabase("alert");
  const { db } = database;
  await once(db, { idempotencyKey: "old" }, call, () => Promise.resolve(1));
  await once(db, { idempotencyKey: "young" }, call, () => Promise.resolve(2));
  await db`update idempotency_keys set created_at = now() - interval '25 hours' where key = 'old'`;
  await once(db, { idempotencyKey: "new" }, call, () => Promise.resolve(3));
  assertEquals([...await db`select key from idempotency_keys order by key`], [{ key: "new" }, {
    key: "young",
  }]);
});

Deno.test("once() refuses a key that is empty or too long", async () => {
  await using database = await createTestDatabase("alert");
  for (const idempotencyKey of ["", "k".repeat(256)]) {
    const error = await assertRejects(
      () => once(database.db, { idempotencyKey }, call, () => Promise.resolve(1)),
      AppError,
      "the idempotency key must have 1 to 255 characters",
    );
    assertEquals(error.code, "invalid");
  }
});
