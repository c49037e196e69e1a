import { assert, assertEquals } from "@std/assert";
import { validate, version } from "uuid";
import { predictionIds } from "./prediction_id.ts";

Deno.test("predictionIds() makes distinct UUIDs of version 7 that begin with their time", () => {
  const before = Date.now();
  const ids = predictionIds(200_000, before);
  assertEquals(new Set(ids).size, ids.length);
  for (const id of ids) {
    assert(validate(id) && version(id) === 7, id);
    const ms = parseInt(id.slice(0, 13).replace("-", ""), 16);
    assertEquals(ms, before);
  }
});
