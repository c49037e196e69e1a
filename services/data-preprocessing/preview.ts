/** The use case of trying a cleaning on a sample. Nothing of it is stored. @module */
import type { CleaningBody } from "shared/contracts/cleaning.ts";
import type { storedEvents } from "shared/contracts/data_ingestion.ts";
import type { previewCleaning } from "shared/contracts/data_preprocessing.ts";
import type { ReplyOf, RequestOf } from "shared/contracts/endpoint.ts";
import type { DataRecord } from "shared/contracts/envelope.ts";
import { parseTime, toInstant } from "shared/contracts/time.ts";
import { messageOf, notFound, tooLarge, unavailable } from "shared/errors.ts";
import { isInfrastructureError } from "shared/infrastructure_error.ts";
import type { Cleaning, RawRecord } from "./domain/cleaning.ts";
import type { Memory } from "./domain/memory.ts";
import { type PreviewedRecord, previewRecords } from "./domain/preview.ts";
import type { Sources } from "./sources.ts";

export interface PreviewDeps {
  /** The cleaning in force. */
  current(source: string): Promise<{ body: CleaningBody } | undefined>;
  /** @throws {AppError} `invalid` with every mistake of the body */
  compile(source: string, body: CleaningBody): Promise<Cleaning>;
  /** What is remembered of the source's records now; what the sample adds to it is forgotten. */
  memoryOf(source: string): Memory;
  /** Asks data-ingestion. */
  storedEvents(
    request: RequestOf<typeof storedEvents>,
  ): Promise<{ events: readonly { id: string; time: string; knownAt: string; data: DataRecord }[] }>;
  sources: Pick<Sources, "all">;
  nowMs?: () => number;
}

/** An answer must fit into one NATS message, with room for what else stands in it. */
const MAX_ANSWER_BYTES = 512 * 1024;

const encoder = new TextEncoder();

/**
 * Tries a cleaning. All of the sample is counted in `outcomes`; `records` shows as many of them, from the first on, as
 * an answer holds.
 *
 * @throws {AppError} `invalid` with every mistake of the cleaning, `not_found` when there is no cleaning or no record to
 *   try, `too_large` when not even one record fits into an answer, `unavailable` when data-ingestion does not answer
 */
export async function preview(
  deps: PreviewDeps,
  { name, body, records, limit }: RequestOf<typeof previewCleaning>,
): Promise<ReplyOf<typeof previewCleaning>> {
  const tried = body ?? (await deps.current(name))?.body;
  if (tried === undefined) {
    throw notFound(`Cannot preview the cleaning "${name}": none is in force, and the request has no body`);
  }
  const cleaning = await deps.compile(name, tried);
  const sample = records === undefined
    ? await storedSample(deps, name, limit)
    : givenSample(deps, name, records);
  const steps = tried.steps.map(({ step }) => step);
  const previewed = await previewRecords(sample, { cleaning, steps, memory: deps.memoryOf(name) });
  const outcomes = { clean: 0, filtered: 0, quarantined: 0 };
  for (const { outcome } of previewed) outcomes[outcome]++;
  return { records: fitting(name, previewed), outcomes };
}

/** The records that arrived last, in the order in which they arrived. */
async function storedSample(deps: PreviewDeps, source: string, limit: number): Promise<RawRecord[]> {
  const action = `preview the cleaning "${source}"`;
  const { events } = await deps.storedEvents({ source, limit }).catch((error: unknown) => {
    if (!isInfrastructureError(error)) throw error;
    throw unavailable(`Cannot ${action} on stored records: ${messageOf(error)}`, { cause: error });
  });
  if (events.length === 0) {
    throw notFound(`Cannot ${action}: the source has no stored records, and the request has none`);
  }
  return events.map(({ id, time, knownAt, data }) => ({ event: { id, time, knownAt }, data })).reverse();
}

/** As if they came now; their event time is in the field that the source declares, where it has one. */
function givenSample(
  { sources, nowMs = Date.now }: PreviewDeps,
  source: string,
  records: readonly DataRecord[],
): RawRecord[] {
  const now = toInstant(nowMs());
  const timeField = sources.all().get(source)?.body.time ?? null;
  return records.map((data, index) => {
    const time = timeField === null ? undefined : parseTime(data[timeField]);
    return { event: { id: String(index + 1), time: time ?? now, knownAt: now }, data };
  });
}

/** As many of the records as an answer holds. */
function fitting(name: string, previewed: readonly PreviewedRecord[]): PreviewedRecord[] {
  const shown: PreviewedRecord[] = [];
  let bytes = 0;
  for (const record of previewed) {
    const recordBytes = encoder.encode(JSON.stringify(record)).length;
    bytes += recordBytes;
    if (bytes <= MAX_ANSWER_BYTES) {
      shown.push(record);
      continue;
    }
    if (shown.length > 0) return shown;
    throw tooLarge(
      `Cannot preview the cleaning "${name}": a record takes ${recordBytes} bytes with all its steps, and an answer may ` +
        `have ${MAX_ANSWER_BYTES}`,
    );
  }
  return shown;
}
