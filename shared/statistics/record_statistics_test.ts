import { assert, assertEquals } from "@std/assert";
import { createRecordStatistics, decodeRecordStatistics, MAX_PROFILED_FIELDS } from "./record_statistics.ts";

Deno.test("summary() counts a record without the field as null there, before and after a merge", () => {
  const first = createRecordStatistics();
  first.add({ a: 1 });
  first.add({ a: 2, b: null });
  const second = decodeRecordStatistics(first.encode());
  second.add({ b: "x" });
  first.merge(second);
  const fields = first.summary();
  assertEquals(first.records, 5);
  assertEquals(fields.map(({ field, nulls, types }) => ({ field, nulls, types })), [
    { field: "a", nulls: 1, types: { number: 4 } },
    { field: "b", nulls: 4, types: { string: 1 } },
  ]);
});

Deno.test("add() looks at a bounded number of fields, whatever names the records bring", () => {
  const statistics = createRecordStatistics();
  for (let i = 0; i < 2 * MAX_PROFILED_FIELDS; i++) statistics.add({ [`field ${i}`]: 1, always: 1 });
  assertEquals(statistics.fields.size, MAX_PROFILED_FIELDS);
  assertEquals(statistics.records, 2 * MAX_PROFILED_FIELDS);
  assert(statistics.fields.has("always"));
});
