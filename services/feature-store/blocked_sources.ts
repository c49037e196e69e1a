/** Sources that data-preprocessing holds: what is trained over them would miss records. @module */
import { readBucket } from "shared/bus/bucket.ts";
import type { Bus } from "shared/bus/connection.ts";
import { blockSchema } from "shared/contracts/data_preprocessing.ts";
import { BUCKET } from "shared/contracts/streams.ts";
import { type Instant, toInstant } from "shared/contracts/time.ts";
import { conflict, type Reason } from "shared/errors.ts";

/**
 * @param reach up to which event time each source is looked at
 * @throws {AppError} `conflict` when that is at or after the time from which on a source is held, for every such source
 */
export async function refuseBlocked(bus: Bus, reach: ReadonlyMap<string, Instant>): Promise<void> {
  const blocks = await Promise.all(
    [...reach].map(async ([source, until]) => ({
      until,
      block: await readBucket(bus, BUCKET.blocks, source, blockSchema),
    })),
  );
  const reasons = blocks.flatMap(({ until, block }): Reason[] =>
    block === undefined || until < block.since ? [] : [{
      path: "",
      message: `"${block.source}" is held since ${block.since} (${block.reasons.join("; ")})`,
    }]
  );
  if (reasons.length === 0) return;
  throw conflict(
    `Cannot build the training set: ${reasons.map(({ message }) => message).join(", ")}: ` +
      "release what is held, or end the set before that",
    reasons,
  );
}

/** Rows lie at or before `to` and the clock; labels look further, but not beyond the clock. */
export function reachOf(
  sources: Iterable<string>,
  { to, clock, label }: {
    to: Instant | null;
    clock: Instant;
    label: { source: string; withinMs: number } | undefined;
  },
): Map<string, Instant> {
  const lastRow = to === null || to > clock ? clock : to;
  const lastLabel = toInstant(Math.min(Date.parse(lastRow) + (label?.withinMs ?? 0), Date.parse(clock)));
  return new Map([...sources].map((source) => [source, source === label?.source ? lastLabel : lastRow]));
}
