/** Whether somebody takes what a replay publishes. @module */
import { STREAM, subject } from "shared/contracts/streams.ts";
import type { Bus } from "shared/bus/connection.ts";
import { isTakenBy } from "shared/bus/subjects.ts";
import { conflict } from "shared/errors.ts";

const stream = STREAM.replay.name;

/**
 * Refuses a replay for a consumer when there is none but the platform's own: nothing would keep its messages.
 *
 * @throws {AppError} `conflict`, with the command that makes one
 */
export async function refuseWithoutConsumer(
  bus: Bus,
  { run, source }: { run: string; source: string },
): Promise<void> {
  const target = subject.replay(run, source);
  const own: readonly string[] = STREAM.replay.durables;
  for await (const { name, config } of bus.jsm.consumers.list(stream)) {
    const filters = config.filter_subjects ?? [config.filter_subject || ">"];
    if (!own.includes(name) && filters.some((filter) => isTakenBy(filter, target))) return;
  }
  throw conflict(
    `Cannot replay "${source}" to a consumer: none of the stream ${stream} takes ${target}. Make one first: ` +
      `nats consumer add ${stream} ${run} --filter=${target} --pull --ack=explicit --deliver=all --defaults`,
  );
}

/** Messages of a replay that are not acknowledged by everybody yet. */
export async function countUntaken(bus: Bus, target: string): Promise<number> {
  const { state } = await bus.jsm.streams.info(stream, { subjects_filter: target });
  return state.subjects?.[target] ?? 0;
}
