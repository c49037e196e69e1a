/** Stored events as messages of INGESTED. @module */
import { EVENT_TYPE, HEADER, type PlatformEvent } from "shared/contracts/envelope.ts";
import { subject } from "shared/contracts/streams.ts";
import type { Instant } from "shared/contracts/time.ts";
import { packBatches } from "shared/bus/batch.ts";
import type { Outgoing } from "shared/bus/message.ts";
import type { AcceptedEvent } from "./domain/judge.ts";
import type { StoredEvent } from "./repository/events.ts";

/** A source's project, and that project's clock. */
export interface ProjectTime {
  project: string;
  clock: Instant | undefined;
}

/** Batches of each source, with its project and the project's clock in the headers. */
export function ingestedMessages(
  events: readonly (StoredEvent | AcceptedEvent)[],
  { timeOf }: { timeOf: (source: string) => ProjectTime | undefined },
): Outgoing[] {
  const bySource = Map.groupBy(events, ({ source }) => source);
  return [...bySource].flatMap(([source, ofSource]) => {
    // A source that was removed since its events were stored has no project any more.
    const { project, clock } = timeOf(source) ?? {};
    const texts = ofSource.map((event) => {
      const { id, definition } = event;
      return { source, id, definition, text: textOf(event) };
    });
    return packBatches(texts, {
      subject: subject.ingested(source),
      headers: {
        ...(project === undefined ? {} : { [HEADER.project]: project }),
        ...(clock === undefined ? {} : { [HEADER.clock]: clock }),
      },
    });
  });
}

export function toPlatformEvent(event: StoredEvent): PlatformEvent {
  return { ...envelopeOf(event), data: event.data };
}

/** The event as JSON: its data is JSON already where it has just come. */
function textOf(event: StoredEvent | AcceptedEvent): string {
  const data = "text" in event ? event.text : JSON.stringify(event.data);
  return `${JSON.stringify(envelopeOf(event)).slice(0, -1)},"data":${data}}`;
}

/** What an event has besides its data, which comes last. */
function envelopeOf(event: StoredEvent | AcceptedEvent): Omit<PlatformEvent, "data"> {
  const { id, source, time, knownAt, definition, entity } = event;
  const { actor, traceparent } = "envelope" in event ? event.envelope : event;
  return {
    specversion: "1.0",
    id,
    source,
    type: EVENT_TYPE.ingested,
    time,
    knownat: knownAt,
    definition,
    ...(entity ? { subject: entity } : {}),
    ...(actor ? { actor } : {}),
    ...(traceparent ? { traceparent } : {}),
  };
}
