/** What the records of messages are judged and stored under. @module */
import type { ClockKind } from "shared/contracts/data_ingestion.ts";
import type { Database } from "shared/db/connection.ts";
import type { DailyPartitions } from "shared/db/partitions.ts";
import type { Privacy } from "shared/privacy.ts";
import type { Clock } from "./domain/event_time.ts";
import type { Circumstances } from "./domain/judge.ts";
import type { Source } from "./domain/source.ts";
import type { HandledMessages } from "./handled_messages.ts";
import type { KeyOutlook } from "./key_outlook.ts";
import { readClocks } from "./repository/clocks.ts";

export interface IngestDeps {
  db: Database;
  partitions: Pick<DailyPartitions, "ensure">;
  /** The sources of these names, as far as they are defined. */
  sources(names: ReadonlySet<string>): Promise<ReadonlyMap<string, Source>>;
  clockKind(project: string): Promise<ClockKind>;
  /** Told of clocks that moved, after the commit. */
  onClocks(projects: readonly string[]): void;
  maxRecordBytes: number;
  /** Undefined: nobody has set a key for secrets. */
  privacy: Privacy | undefined;
  /** Days after their arrival for which records are kept at most. */
  keepDays: number;
  /** Whether the ids of events are likely to be new. Default: they never are. */
  outlook?: KeyOutlook;
  /** Which messages may have been dealt with before. Default: those that the stream calls redelivered. */
  handledMessages?: HandledMessages;
  /** Milliseconds since 1970. Default: the wall clock. */
  now?: () => number;
}

/** The sources of these names, the clocks of their projects, and the bounds. */
export async function readCircumstances(
  deps: IngestDeps,
  names: ReadonlySet<string>,
): Promise<Circumstances> {
  const { db, now = Date.now, maxRecordBytes, privacy } = deps;
  const sources = await deps.sources(names);
  const projects = [...new Set([...sources.values()].map(({ project }) => project))];
  const kinds = await Promise.all(projects.map(deps.clockKind));
  const newest = await readClocks(db, projects.filter((_, index) => kinds[index] === "event"));
  const clocks = projects.map((project, index): [string, Clock] => [
    project,
    { kind: kinds[index]!, newest: newest.get(project) },
  ]);
  return { sources, clocks: new Map(clocks), nowMs: now(), maxRecordBytes, privacy };
}
