import type { z } from "zod";
import type { PlatformEvent } from "../contracts/envelope.ts";
import { reasonsOf } from "../validation.ts";
import { decodeBatch } from "./batch.ts";
import type { Aside } from "./dead_letter.ts";
import type { Incoming } from "./message.ts";

export interface ReadEvents<Data> {
  events: PlatformEvent<Data>[];
  /** Events whose data are not of the schema, each to be set aside by itself. */
  aside: Aside[];
}

/**
 * The events of messages, with their data as the schema gives them: one bad event does not take its neighbours along.
 *
 * @throws {BadMessage} when a message is no batch of events at all
 */
export function readEvents<Schema extends z.ZodType>(
  messages: readonly Incoming[],
  schema: Schema,
): ReadEvents<z.output<Schema>> {
  const events: PlatformEvent<z.output<Schema>>[] = [];
  const aside: Aside[] = [];
  for (const message of messages) {
    decodeBatch(message).forEach((event, position) => {
      const data = schema.safeParse(event.data);
      if (data.success) events.push({ ...event, data: data.data });
      else aside.push(asideOf(message, event, { position, error: data.error }));
    });
  }
  return { events, aside };
}

function asideOf(
  { name, stream, sequence, headers }: Incoming,
  event: PlatformEvent,
  { position, error }: { position: number; error: z.ZodError },
): Aside {
  return {
    name,
    data: new TextEncoder().encode(JSON.stringify([event])),
    headers,
    reasons: reasonsOf(error).map(({ path, message }) => ({ path: `/data${path}`, message })),
    origin: `${stream}/${sequence}/${position}`,
  };
}
