import { assert, assertEquals, assertThrows } from "@std/assert";
import { inTurn, median, table } from "./harness.ts";
import { ingest } from "./ingest.ts";

Deno.test("inTurn() lets the sides take turns and does not count the round that warms up", async () => {
  const order: string[] = [];
  const side = (name: string, values: number[]) => () => {
    order.push(name);
    return Promise.resolve({ rate: values.shift()! });
  };
  const medians = await inTurn(
    { ours: side("ours", [1_000, 3, 1, 2]), theirs: side("theirs", [0, 30, 10, 20]) },
    { rounds: 3, say() {} },
  );
  assertEquals(order.slice(0, 4), ["ours", "theirs", "ours", "theirs"]);
  assertEquals(medians, { ours: { rate: 2 }, theirs: { rate: 20 } });
});

Deno.test("median() is the mean of the two in the middle when their number is even", () => {
  assertEquals(median([9, 1, 3]), 3);
  assertEquals(median([4, 1, 2, 9]), 3);
  assertThrows(() => median([]));
});

Deno.test("table() shows every ratio, figure and note", () => {
  const text = table("ingest", {
    ratios: { psql_copy: 0.4321 },
    figures: { events_per_s: 12_345.6 },
    notes: ["no peer"],
  });
  assert(/ratio to psql_copy\s+43\.2%/.test(text), text);
  assert(/events_per_s\s+12,346/.test(text), text);
  assert(text.endsWith("(no peer)"), text);
});

Deno.test("ingest measures a few events on a stack of its own", async () => {
  const said: string[] = [];
  const { figures } = await ingest.run({ rounds: 1, scale: 0.002, say: (line) => said.push(line) });
  for (const [name, value] of Object.entries(figures)) assert(value > 0, `${name} is ${value}`);
  assert(said.some((line) => line.startsWith("round 1, single: ")), said.join("\n"));
});
