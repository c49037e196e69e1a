import { assert, assertEquals } from "@std/assert";
import { validate, version } from "uuid";
import { predictionId } from "./prediction_id.ts";

Deno.test("predictionId() makes distinct UUIDs of version 7 that begin with their time", () => {
  const before = Date.now();
  const ids = Array.from({ length: 200_000 }, predictionId);
  const after = Date.now();
  assertEquals(new Set(ids).size, ids.length);
  for (const id of ids) {
    assert(validate(id) && version(id) === 7, id);
    const ms = parseInt(id.slice(0, 13).replace("-", ""), 16);
    assert(before <= ms && ms <= after, id);
  }
});
