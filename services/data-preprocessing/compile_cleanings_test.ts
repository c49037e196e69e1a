import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { cleaningBodySchema } from "shared/contracts/cleaning.ts";
import * as contract from "shared/contracts/data_preprocessing.ts";
import { AppError } from "shared/errors.ts";
import { compileAccepted } from "./compile_cleanings.ts";
import { declareSource, define, event, eventuallyClean, ingest, start } from "./testing/orders.ts";

const orders = (type: string) => ({
  kind: "events" as const,
  schema: { properties: { quantity: { type } } },
});
const trim = { steps: [{ step: "trim" as const, fields: ["quantity"] }] };

Deno.test("a cleaning is checked against its source's schema when it is put", async () => {
  await using service = await start();
  await declareSource(service.bus, "orders", orders("integer"));
  const error = await assertRejects(() => define(service, trim), AppError) as AppError;
  assertEquals(error.code, "invalid");
  assertEquals(error.reasons, [{
    path: "/steps/0",
    message: 'reads the field "quantity", which holds an integer, and it needs text',
  }]);
  assertEquals((await service.call(contract.definitions, {})).definitions, []);
});

Deno.test("a cleaning is accepted that fits a source of which the bucket tells only a little later", async () => {
  await using service = await start();
  await declareSource(service.bus, "orders", orders("integer"));
  await assertRejects(() => define(service, trim), AppError);
  const put = define(service, trim);
  await declareSource(service.bus, "orders", orders("string"));
  assertEquals((await put).changed, true);
});

Deno.test("a cleaning in force stays so when its source's schema changes", async () => {
  await using service = await start();
  await define(service, trim);
  await declareSource(service.bus, "orders", orders("integer"));
  await ingest(service.bus, [event("a", { quantity: " 6 " })]);
  await eventuallyClean(service.bus, ["6"], ({ data }) => String(data["quantity"]));
});

Deno.test("compileAccepted() blames no record for a key that the service lacks", () => {
  const body = cleaningBodySchema.parse({ steps: [{ step: "hash", fields: ["card"] }] });
  const error = assertThrows(() => compileAccepted(body, { privacy: undefined }), AppError) as AppError;
  assertEquals(error.code, "unavailable");
});

Deno.test("a hash step works with the service's key", async () => {
  await using service = await start({ env: { SECRETS_KEY: "a key for tests, of 32 characters" } });
  await define(service, { steps: [{ step: "hash", fields: ["card"] }] });
  await ingest(service.bus, [event("a", { card: "4111" })]);
  await eventuallyClean(service.bus, ["hmac:"], ({ data }) => String(data["card"]).slice(0, 5));
});
