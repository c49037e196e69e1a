import { assertEquals } from "@std/assert";
import { entityKey, entityOf, entitySchema } from "./entity_key.ts";

Deno.test("entitySchema refuses text that no database keeps", () => {
  const isEntity = (customer_id: unknown) => entitySchema.safeParse({ customer_id }).success;
  assertEquals(["a", "\u{1f6d2}", "a\0b", "\ud83d"].map(isEntity), [true, true, false, false]);
});

Deno.test("entityKey() is one text for an integer however it is written", () => {
  const keys = { customer_id: "integer" } as const;
  assertEquals(entityKey({ customer_id: 17850 }, keys), '["17850"]');
  assertEquals(entityKey({ customer_id: "17850" }, keys), '["17850"]');
  assertEquals(entityKey({ customer_id: 17850n }, keys), '["17850"]');
});

Deno.test("entityKey() is none when a part is missing or not of its declared type", () => {
  const keys = { customer_id: "integer" } as const;
  for (const customer_id of [undefined, null, "17850.0", 1.5, "", "017", true]) {
    assertEquals(entityKey({ customer_id }, keys), undefined, String(customer_id));
  }
  assertEquals(entityKey({ shop: "" }, { shop: "string" }), undefined);
});

Deno.test("entityKey() keeps the declared order of compound keys", () => {
  const keys = { shop: "string", online: "boolean", id: "integer" } as const;
  assertEquals(entityKey({ id: 7, online: true, shop: "a" }, keys), '["a",true,"7"]');
});

Deno.test("entityOf() gives an entity of the same key", () => {
  const keys = { shop: "string", customer: "integer", trial: "boolean" } as const;
  for (const customer of [17850, "90071992547409931"]) {
    const entity = { shop: "a", customer, trial: true };
    assertEquals(entityOf(entityKey(entity, keys)!, keys), entity);
  }
});
