/** Clean records as the messages by which they are handed on. @module */
import { encodeBatches } from "shared/bus/batch.ts";
import type { Outgoing } from "shared/bus/message.ts";
import { HEADER } from "shared/contracts/envelope.ts";
import type { Instant } from "shared/contracts/time.ts";
import { subject } from "shared/contracts/streams.ts";
import type { ArrivedRecord } from "./clean_records.ts";

/**
 * Batches of a source's clean records. Those of the live flow are joined, and the clock is the latest of those that
 * they came with. In a replay each message leads to messages of its own, so that the same replay gives the same bytes.
 */
export function toMessages(
  flow: { run: string; source: string },
  clean: readonly ArrivedRecord[],
): Outgoing[] {
  if (clean.length === 0) return [];
  if (flow.run === "") return toBatches(flow, clean);
  return [...Map.groupBy(clean, ({ arrival }) => arrival.sequence).values()]
    .flatMap((ofMessage) => toBatches(flow, ofMessage));
}

/** What the messages of these records said: the last project, and the latest clock. */
export function headersAmong(
  records: readonly ArrivedRecord[],
): { project: string | undefined; clock: Instant | undefined } {
  let project: string | undefined;
  let clock: Instant | undefined;
  for (const { arrival } of records) {
    project = arrival.project ?? project;
    if (clock === undefined || (arrival.clock ?? "") > clock) clock = arrival.clock ?? clock;
  }
  return { project, clock };
}

function toBatches(
  { run, source }: { run: string; source: string },
  clean: readonly ArrivedRecord[],
): Outgoing[] {
  const { project, clock } = headersAmong(clean);
  return encodeBatches(clean.map(({ event }) => event), {
    subject: subject.clean(source),
    headers: {
      ...(project === undefined ? {} : { [HEADER.project]: project }),
      ...(clock === undefined ? {} : { [HEADER.clock]: clock }),
      ...(run === "" ? {} : { [HEADER.run]: run }),
    },
  });
}
