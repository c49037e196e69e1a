/** Reading buckets for many readers at once. @module */
import type { Database } from "shared/db/connection.ts";
import { type BucketQuery, type FoundBuckets, readRanges } from "./repository/buckets.ts";

export interface BucketReader {
  /** The buckets of each query as they are when the call is made or later, all in one snapshot. */
  read(queries: readonly BucketQuery[]): Promise<FoundBuckets>;
}

/** Beside each other, so that a large read does not hold up the small ones. */
const STATEMENTS_AT_ONCE = 2;
/** Ranges of entities in one statement; a read that asks for more has one of its own. */
const RANGES_AT_ONCE = 4_000;

interface Waiting {
  queries: readonly BucketQuery[];
  size: number;
  answer: (found: FoundBuckets) => void;
  fail: (error: unknown) => void;
}

/**
 * What is asked while a statement is under way goes together into the next one: under load many reads cost little more
 * than one, and without it none waits. A statement starts after all that it answers were asked for, so that each sees
 * what was acknowledged before.
 */
export function createBucketReader(db: Database): BucketReader {
  const waiting: Waiting[] = [];
  let underWay = 0;

  function start(): void {
    if (underWay === STATEMENTS_AT_ONCE || waiting.length === 0) return;
    underWay++;
    void answer(db, takeSome(waiting)).finally(() => {
      underWay--;
      start();
    });
  }

  return {
    read(queries) {
      const { promise, resolve, reject } = Promise.withResolvers<FoundBuckets>();
      const size = queries.reduce((sum, { keys, set }) => sum + keys.length * set.ranges.length, 0);
      waiting.push({ queries, size, answer: resolve, fail: reject });
      start();
      return promise;
    },
  };
}

/** In the order in which they came, at least one. */
function takeSome(waiting: Waiting[]): Waiting[] {
  let size = 0;
  const end = waiting.findIndex((one, index) => (size += one.size) > RANGES_AT_ONCE && index > 0);
  return waiting.splice(0, end === -1 ? waiting.length : end);
}

/** Never rejects: a failure is that of all who are answered. */
async function answer(db: Database, readers: readonly Waiting[]): Promise<void> {
  try {
    const { found, snapshot } = await readRanges(db, readers.flatMap(({ queries }) => queries));
    let first = 0;
    for (const { queries, answer } of readers) {
      answer({ found: found.slice(first, first + queries.length), snapshot });
      first += queries.length;
    }
  } catch (error) {
    for (const { fail } of readers) fail(error);
  }
}
