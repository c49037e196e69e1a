/** The SQL of what is known of a run besides its state: in rows of their own, so that runs are found by them. @module */
import type { Artifact, LoggedPoint, RunEvent } from "shared/contracts/model_training.ts";
import { toInstant } from "shared/contracts/time.ts";
import type { Queryable, Transaction } from "shared/db/connection.ts";
import { releaseFiles, takeBack } from "./released_files.ts";

/** One kept again replaces the earlier. */
export async function keepParameters(
  tx: Transaction,
  run: string,
  parameters: Readonly<Record<string, unknown>>,
): Promise<void> {
  const names = Object.keys(parameters);
  if (names.length === 0) return;
  const values = names.map((name) => JSON.stringify(parameters[name]));
  await tx`
    insert into run_parameters (run, name, value)
    select ${run}, name, value::jsonb from unnest(${names}::text[], ${values}::text[]) as given (name, value)
    on conflict (run, name) do update set value = excluded.value`;
}

/** Final values; one kept again replaces the earlier. */
export async function keepResults(
  tx: Transaction,
  run: string,
  results: Readonly<Record<string, number>>,
): Promise<void> {
  const names = Object.keys(results);
  if (names.length === 0) return;
  await tx`
    insert into run_results (run, name, value)
    select ${run}, * from unnest(${names}::text[], ${Object.values(results)}::double precision[])
    on conflict (run, name) do update set value = excluded.value`;
}

/** One kept again replaces the earlier. */
export async function keepTags(
  tx: Transaction,
  run: string,
  tags: Readonly<Record<string, string>>,
): Promise<void> {
  const keys = Object.keys(tags);
  if (keys.length === 0) return;
  await tx`
    insert into run_tags (run, key, value)
    select ${run}, * from unnest(${keys}::text[], ${Object.values(tags)}::text[])
    on conflict (run, key) do update set value = excluded.value`;
}

/** Values by round; one kept again replaces the earlier, as it must when a run is taken up once more. */
export async function keepMetrics(
  tx: Transaction,
  run: string,
  points: readonly LoggedPoint[],
): Promise<void> {
  // The last of equal ones: a statement may not touch a row twice.
  const unique = [...new Map(points.map((point) => [`${point.step} ${point.name}`, point])).values()];
  if (unique.length === 0) return;
  await tx`
    insert into run_metrics (run, name, step, value)
    select ${run}, * from unnest(${unique.map(({ name }) => name)}::text[],
      ${unique.map(({ step }) => step)}::bigint[], ${
    unique.map(({ value }) => Number(value))
  }::double precision[])
    on conflict (run, name, step) do update set value = excluded.value`;
}

export async function keepLines(tx: Transaction, run: string, lines: readonly string[]): Promise<void> {
  if (lines.length === 0) return;
  await tx`insert into run_logs (run, line) select ${run}, * from unnest(${[...lines]}::text[])`;
}

export interface NewArtifact extends Omit<Artifact, "at"> {
  /** The service has put its file into the file store, and removes it with the run. */
  owned: boolean;
}

/** One of the same name replaces the earlier, whose file is released. */
export async function keepArtifact(tx: Transaction, run: string, artifact: NewArtifact): Promise<Artifact> {
  const { name, sha256, bytes, mediaType } = artifact;
  await releaseFiles(tx, tx`run = ${run} and name = ${name} and sha256 <> ${sha256}`);
  const owned = await takeBack(tx, sha256) || artifact.owned;
  const [row] = await tx<Artifact[]>`
    insert into run_artifacts (run, name, sha256, bytes, media_type, owned)
    values (${run}, ${name}, ${sha256}, ${bytes}, ${mediaType}, ${owned})
    on conflict (run, name) do update
    set sha256 = excluded.sha256, bytes = excluded.bytes, media_type = excluded.media_type, at = excluded.at,
      owned = excluded.owned or (run_artifacts.owned and run_artifacts.sha256 = excluded.sha256)
    returning name, sha256, bytes, media_type as "mediaType", at`;
  return { ...row! };
}

/** What an event tells besides the state of the run. */
export type EventDetail = Pick<RunEvent, "round" | "rounds" | "metrics" | "secondsLeft">;

const NO_DETAIL: EventDetail = { round: null, rounds: null, metrics: {}, secondsLeft: null };

/** Adds an event that tells the state of the run as it stands in this transaction. */
export async function appendEvent(
  tx: Transaction,
  run: string,
  detail: EventDetail = NO_DETAIL,
): Promise<RunEvent> {
  const [row] = await tx<Omit<RunEvent, "run" | "at" | keyof EventDetail>[]>`
    update runs set events = events + 1 where id = ${run}
    returning events as sequence, status, stage, progress, error, version`;
  const event: RunEvent = { run, at: toInstant(Date.now()), ...row!, ...detail };
  await tx`
    insert into run_events (run, sequence, event)
    values (${run}, ${event.sequence}, ${JSON.stringify(event)}::text::json)`;
  return event;
}

/** Oldest first. */
export async function listEvents(
  db: Queryable,
  run: string,
  { after, limit }: { after: number; limit: number },
): Promise<RunEvent[]> {
  const rows = await db<{ event: RunEvent }[]>`
    select event from run_events where run = ${run} and sequence > ${after} order by sequence limit ${limit}`;
  return rows.map(({ event }) => event);
}
