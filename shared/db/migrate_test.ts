import { join } from "node:path";
import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { AppError } from "../errors.ts";
import { createEmptyDatabase, createTestDatabase } from "../testing/database.ts";
import { migrate } from "./migrate.ts";
import { checkSchema, listMigrations, migrationSets, migrationStatus } from "./schema.ts";

/** A migrations folder of a test's own, for the service `shop`. */
async function makeMigrations(files: Record<string, string>): Promise<{ folder: string } & AsyncDisposable> {
  const folder = await Deno.makeTempDir({ prefix: "microml-migrations-" });
  for (const [path, sql] of Object.entries({ "_common/schema.sql": "", "shop/schema.sql": "", ...files })) {
    await Deno.mkdir(join(folder, path, ".."), { recursive: true });
    await Deno.writeTextFile(join(folder, path), sql);
  }
  return { folder, [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }) };
}

function table(name: string): string {
  return `-- Up Migration\ncreate table ${name} (id integer);\n\n-- Down Migration\ndrop table ${name};\n`;
}

const FILES = {
  "_common/000001_create_shared.sql": table("shared"),
  "shop/000001_create_orders.sql": table("orders"),
  "shop/000002_create_products.sql": table("products"),
};
const ALL = ["000001_create_shared", "000001_create_orders", "000002_create_products"];

Deno.test("migrate() runs the shared migrations, then the service's, once", async () => {
  await using migrations = await makeMigrations(FILES);
  await using database = await createEmptyDatabase();
  const options = { url: database.url, service: "shop", folder: migrations.folder };
  assertEquals(await migrationStatus(database.db, "shop", migrations.folder), { applied: [], pending: ALL });
  assertEquals(await migrate(options), ALL);
  assertEquals(await migrate(options), []);
  assertEquals(await migrationStatus(database.db, "shop", migrations.folder), { applied: ALL, pending: [] });
  assertEquals([...await database.db`select from shared, orders, products`], []);
});

Deno.test("migrate() undoes the last migrations, the shared ones last", async () => {
  await using migrations = await makeMigrations(FILES);
  await using database = await createEmptyDatabase();
  const options = { url: database.url, service: "shop", folder: migrations.folder };
  await migrate(options);
  assertEquals(await migrate({ ...options, direction: "down" }), ["000002_create_products"]);
  assertEquals(await migrate({ ...options, direction: "down", count: 5 }), [
    "000001_create_orders",
    "000001_create_shared",
  ]);
  assertEquals(await migrate({ ...options, direction: "down" }), []);
  const tables = await database
    .db`select relname from pg_class where relname in ('shared', 'orders', 'products')`;
  assertEquals([...tables], []);
});

Deno.test("migrate() lets three runners at once do the work of one", async () => {
  await using migrations = await makeMigrations(FILES);
  await using database = await createEmptyDatabase();
  const options = { url: database.url, service: "shop", folder: migrations.folder };
  const ran = await Promise.all([migrate(options), migrate(options), migrate(options)]);
  assertEquals(ran.flat().sort(), [...ALL].sort());
});

Deno.test("migrate() refuses a migration that comes before one that has run", async () => {
  await using migrations = await makeMigrations({
    "_common/000001_create_shared.sql": table("shared"),
    "shop/000002_create_products.sql": table("products"),
  });
  await using database = await createEmptyDatabase();
  const options = { url: database.url, service: "shop", folder: migrations.folder };
  await migrate(options);
  await Deno.writeTextFile(join(migrations.folder, "shop/000001_create_orders.sql"), table("orders"));
  const error = await assertRejects(() => migrate(options), AppError, "Cannot migrate shop");
  assertStringIncludes(error.message, "000001_create_orders is preceding already run");
});

Deno.test("migrate() leaves nothing of a failed run, and shows the mistake", async () => {
  await using migrations = await makeMigrations({
    ...FILES,
    "shop/000003_create_mistake.sql": "-- Up Migration\ncreate tabel mistake (id integer);\n",
  });
  await using database = await createEmptyDatabase();
  const options = { url: database.url, service: "shop", folder: migrations.folder };
  const error = await assertRejects(() => migrate(options), AppError, "Cannot migrate shop");
  assertStringIncludes(error.message, "create tabel mistake");
  const { pending } = await migrationStatus(database.db, "shop", migrations.folder);
  assertEquals(pending, ["000001_create_orders", "000002_create_products", "000003_create_mistake"]);
});

Deno.test("migrate() names where it could not connect to, without the password", async () => {
  const error = await assertRejects(
    () => migrate({ service: "alert", url: "postgres://alerts:secret@127.0.0.1:1/alerts" }),
    AppError,
    "Cannot migrate alert: alerts@127.0.0.1:1/alerts: ",
  );
  assertEquals(error.code, "unavailable");
  assertEquals(error.message.includes("secret"), false);
});

Deno.test("listMigrations() refuses two migrations of one number", async () => {
  await using migrations = await makeMigrations({ ...FILES, "shop/000002_create_carts.sql": table("carts") });
  const [, own] = migrationSets("shop", migrations.folder);
  await assertRejects(() => listMigrations(own), AppError, "000002 must be one migration's number");
});

Deno.test("the project's shared migrations can be undone", async () => {
  await using database = await createTestDatabase("alert");
  const { applied } = await migrationStatus(database.db, "alert");
  const undone = await migrate({
    url: database.url,
    service: "alert",
    direction: "down",
    count: applied.length,
  });
  assertEquals(undone, applied.toReversed());
  assertEquals([...await database.db`select relname from pg_class where relname = 'outbox'`], []);
});

Deno.test("checkSchema() names what is missing and what to run", async () => {
  await using database = await createTestDatabase("alert");
  await checkSchema(database.db, "alert");
  await using empty = await createEmptyDatabase();
  const error = await assertRejects(() => checkSchema(empty.db, "alert"), AppError);
  assertEquals(error.code, "unavailable");
  assertStringIncludes(error.message, "lacks the migration 000001_create_definitions and ");
  assertStringIncludes(error.message, "run deno task migrate alert");
});
