/** Statements of one transaction that are sent before the ones ahead are answered. @module */

/**
 * Waits for all, also when one fails: none may go on once its transaction is over, for its statements would then count
 * by themselves.
 *
 * @throws the first failure; those after it only tell that the transaction is aborted
 */
export async function together<const Work extends readonly Promise<unknown>[]>(
  ...work: Work
): Promise<{ -readonly [Index in keyof Work]: Awaited<Work[Index]> }> {
  try {
    return await Promise.all(work) as { -readonly [Index in keyof Work]: Awaited<Work[Index]> };
  } finally {
    await Promise.allSettled(work);
  }
}
