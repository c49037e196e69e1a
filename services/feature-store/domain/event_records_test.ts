import { assertEquals } from "@std/assert";
import { entitiesOf } from "./event_records.ts";

const customer = { name: "customer", keys: { customer_id: "integer" } } as const;
const line = { name: "line", keys: { invoice: "string", position: "integer" } } as const;

Deno.test("entitiesOf() gives a record for every entity whose key is there", () => {
  const data = { customer_id: 17850, invoice: "536365", position: "2" };
  assertEquals(entitiesOf(data, [customer, line]), {
    records: [{ entity: "customer", key: '["17850"]' }, { entity: "line", key: '["536365","2"]' }],
    reasons: [],
  });
});

Deno.test("entitiesOf() takes a key that is missing, null or empty as no mistake", () => {
  for (const data of [{}, { customer_id: null }, { customer_id: "" }]) {
    assertEquals(entitiesOf(data, [customer]), { records: [], reasons: [] });
  }
});

Deno.test("entitiesOf() tells of every key part that is not of its type", () => {
  const { records, reasons } = entitiesOf({ customer_id: 1.5, invoice: 5, position: 1 }, [customer, line]);
  assertEquals(records, []);
  assertEquals(reasons, [
    { path: "/customer_id", message: 'is 1.5: a key of the entity "customer" must be of type integer' },
    { path: "/invoice", message: 'is 5: a key of the entity "line" must be of type string' },
  ]);
});

Deno.test("entitiesOf() refuses a key that no index could hold", () => {
  const data = { customer_id: 1, invoice: "x".repeat(500), position: 1 };
  assertEquals(entitiesOf(data, [customer, line]), {
    records: [{ entity: "customer", key: '["1"]' }],
    reasons: [{ path: "", message: 'has a key of the entity "line" of 508 characters, and may have 500' }],
  });
});
