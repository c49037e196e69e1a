/** Work in two stages, of which the second waits for others. @module */

/**
 * Prepares each item while the one before it is being finished. Items are finished in their order, one at a time; the
 * first failure ends it, once nothing is under way any more.
 */
export async function overlapped<Item, Prepared, Outcome>(
  items: Iterable<Item>,
  prepare: (item: Item) => Promise<Prepared>,
  finish: (prepared: Prepared) => Promise<Outcome>,
): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  // Settled at once, so that a failure waits until it is asked about.
  let finishing: Promise<PromiseSettledResult<Outcome>[]> = Promise.resolve([]);
  const finished = async () => {
    for (const result of await finishing) {
      if (result.status === "rejected") throw result.reason;
      outcomes.push(result.value);
    }
  };
  try {
    for (const item of items) {
      const prepared = await prepare(item);
      await finished();
      finishing = Promise.allSettled([finish(prepared)]);
    }
    await finished();
    return outcomes;
  } finally {
    await finishing;
  }
}
