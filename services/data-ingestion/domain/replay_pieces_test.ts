import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { toInstant } from "shared/contracts/time.ts";
import { type PieceOptions, type ReplayableRecord, replayPieces } from "./replay_pieces.ts";

type Record = ReplayableRecord & { wanted: boolean };

const record = (n: number, more: Partial<Record> = {}): Record => ({
  id: String(n).padStart(5, "0"),
  time: toInstant(n * 1_000),
  bytes: 100,
  wanted: true,
  ...more,
});

async function* pagesOf(records: readonly Record[], size: number): AsyncGenerator<Record[]> {
  for (let first = 0; first < records.length; first += size) yield records.slice(first, first + size);
}

const options = (more: Partial<PieceOptions<Record>> = {}): PieceOptions<Record> => ({
  matches: ({ wanted }) => wanted,
  rate: null,
  pace: null,
  ...more,
});

const cut = async (records: readonly Record[], more: Partial<PieceOptions<Record>> = {}, pageSize = 7) =>
  await Array.fromAsync(replayPieces(pagesOf(records, pageSize), options(more)));

const numbers = (count: number) => Array.from({ length: count }, (_, n) => record(n));

Deno.test("replayPieces() bounds a piece by its records and by their bytes", async () => {
  assertEquals((await cut(numbers(1_200))).map(({ records }) => records.length), [500, 500, 200]);
  const large = numbers(10).map((each, n) => ({ ...each, bytes: n === 4 ? 400_000 : 100_000 }));
  assertEquals((await cut(large)).map(({ records }) => records.length), [2, 2, 1, 2, 2, 1]);
  assertEquals(await cut([]), []);
});

Deno.test("replayPieces() makes pieces of a tenth of a second, by rate and by pace", async () => {
  const sizes = async (more: Partial<PieceOptions<Record>>) =>
    (await cut(numbers(25), more)).map(({ records }) => records.length);
  assertEquals(await sizes({ rate: 100 }), [10, 10, 5]);
  assertEquals((await sizes({ rate: 0.5 })).length, 25);
  assertEquals(await sizes({ pace: 100 }), [10, 10, 5]);
  assertEquals((await sizes({ pace: 1 })).length, 25);
  assertEquals(await sizes({ pace: 100, rate: 50 }), [5, 5, 5, 5, 5]);
});

Deno.test("replayPieces() counts what the filter leaves out, and tells of long searches", async () => {
  const records = numbers(25_000).map((each, n) => ({ ...each, wanted: n === 3 || n === 24_990 }));
  const pieces = await cut(records, {}, 1_000);
  assertEquals(pieces.map(({ records, read }) => [records.length, read]), [[1, 10_000], [0, 10_000], [
    1,
    5_000,
  ]]);
  const none = await cut(records.slice(4, 24_990), {}, 1_000);
  assertEquals(none.map(({ records, read }) => [records.length, read]), [[0, 10_000], [0, 10_000], [
    0,
    4_986,
  ]]);
  assertEquals(none[0]!.position, { time: records[10_003]!.time, id: records[10_003]!.id });
});

Deno.test("replayPieces() goes on behind any piece as it would have without a break", async () => {
  const records = fc.array(fc.record({ wanted: fc.boolean(), bytes: fc.integer({ min: 1, max: 200_000 }) }), {
    maxLength: 60,
  });
  const maybe = (arb: fc.Arbitrary<number>) => fc.option(arb, { nil: null });
  const rate = maybe(fc.integer({ min: 1, max: 200 }));
  const pace = maybe(fc.integer({ min: 1, max: 100 }));
  await fc.assert(
    fc.asyncProperty(
      records,
      rate,
      pace,
      fc.integer({ min: 1, max: 20 }),
      async (drawn, rate, pace, size) => {
        const all = drawn.map((each, n) => record(n, each));
        const whole = await cut(all, { rate, pace }, size);
        assertEquals(whole.reduce((sum, { read }) => sum + read, 0), all.length);
        let done = 0;
        for (const [index, piece] of whole.entries()) {
          done += piece.read;
          assertEquals(piece.position.id, all[done - 1]!.id);
          assertEquals(await cut(all.slice(done), { rate, pace }, 3), whole.slice(index + 1));
        }
      },
    ),
    { numRuns: 100 },
  );
});
