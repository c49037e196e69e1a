/** The SQL that reads stored events in the order of a replay. @module */
import postgres from "postgres";
import type { Instant } from "shared/contracts/time.ts";
import type { Database } from "shared/db/connection.ts";
import { unavailable } from "shared/errors.ts";
import type { ReplayPosition } from "../domain/replay_pieces.ts";
import type { StoredEvent } from "./events.ts";

/** The events that a replay is about. */
export interface ReplayedSpan {
  source: string;
  /** Event times, the second excluded. */
  from: Instant | null;
  until: Instant | null;
  /** Only what arrived before. */
  arrivedBefore: Instant;
  /** Only what comes behind it. */
  after: ReplayPosition | null;
}

/** A stored event with the bytes of its data. */
export type ReplayedEvent = StoredEvent & { bytes: number };

const FIRST_ROWS = 100;
const MAX_ROWS = 1_000;
/** About what a page holds, so that few large events do not take the memory of a thousand small ones. */
const PAGE_BYTES = 2 * 1024 * 1024;
/** PostgreSQL's code for a cursor that is not there. */
const NO_SUCH_CURSOR = "34000";

/**
 * Pages of the events of a span, in the order of (event time, id).
 *
 * PostgreSQL sorts them once, into a file where they are many, and keeps the outcome with the session: no transaction
 * is open while pages are worked on, the intake keeps up no index for it, and what is held here is a page. Events that
 * retention drops before that are not there; those that it drops later come all the same.
 *
 * @param session a pool of one connection that is kept open, used for nothing else: the cursor lives in its session
 * @throws {AppError} `unavailable` when the session was lost: what is left has to be sorted anew
 */
export async function* readReplayedEvents(
  session: Database,
  span: ReplayedSpan,
  options: { signal: AbortSignal },
): AsyncGenerator<ReplayedEvent[]> {
  await openCursor(session, span, options.signal);
  for (let count = FIRST_ROWS; !options.signal.aborted;) {
    const page = await fetchPage(session, count);
    if (page.length === 0) return;
    yield page;
    const bytes = page.reduce((sum, event) => sum + event.bytes, 0);
    count = Math.max(1, Math.min(MAX_ROWS, Math.floor(page.length * PAGE_BYTES / Math.max(1, bytes))));
  }
}

async function openCursor(session: Database, span: ReplayedSpan, signal: AbortSignal): Promise<void> {
  const { source, from, until, arrivedBefore, after } = span;
  await session.unsafe("close all");
  const declared = session`
    declare replayed no scroll cursor with hold for
    select source, id, event_time as time, known_at as "knownAt", definition, data, actor, traceparent, entity,
      octet_length(data::text) as bytes
    from events
    where source = ${source} and arrived_at < ${arrivedBefore}
      and event_time >= coalesce(${after?.time ?? from}::timestamptz, '-infinity')
      and event_time < coalesce(${until}::timestamptz, 'infinity')
      and (${after?.time ?? null}::timestamptz is null
        or event_time > ${after?.time ?? null}::timestamptz or id > ${after?.id ?? null}::text collate "C")
    order by event_time, id collate "C", arrived_at`;
  // The sorting may take long, and nobody would wait for it any more.
  const cancel = () => declared.cancel();
  signal.addEventListener("abort", cancel);
  try {
    await declared;
  } finally {
    signal.removeEventListener("abort", cancel);
  }
}

async function fetchPage(session: Database, count: number): Promise<ReplayedEvent[]> {
  try {
    return [...await session.unsafe<ReplayedEvent[]>(`fetch forward ${count} from replayed`)];
  } catch (error) {
    if (!(error instanceof postgres.PostgresError) || error.code !== NO_SUCH_CURSOR) throw error;
    throw unavailable("Cannot go on reading stored events: the session with the database was lost");
  }
}
