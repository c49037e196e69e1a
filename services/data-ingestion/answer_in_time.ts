import { AppError, messageOf, unavailable } from "shared/errors.ts";
import { isInfrastructureError } from "shared/infrastructure_error.ts";

/** After an answer that said so, trying again makes sense in so many seconds. */
const RETRY_AFTER_S = 2;

/**
 * Answers within a time, however slow or far away the database is. What takes longer goes on, and may still be done.
 *
 * @param action such as `store the event`
 * @throws {AppError} `unavailable` when a neighbour is away or the time is over; what `work` throws
 */
export async function answerInTime<T>(
  work: Promise<T>,
  { action, withinMs }: { action: string; withinMs: number },
): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(
    () =>
      reject(unavailable(
        `Cannot ${action}: it is not done within ${withinMs / 1_000} s; it may still be done`,
        { retryAfter: RETRY_AFTER_S },
      )),
    withinMs,
  );
  try {
    return await Promise.race([work, late]);
  } catch (error) {
    if (error instanceof AppError || !isInfrastructureError(error)) throw error;
    throw unavailable(`Cannot ${action}: ${messageOf(error)}`, { cause: error, retryAfter: RETRY_AFTER_S });
  } finally {
    clearTimeout(timer);
  }
}
