/** The use case of cleaning quarantined records again, after a fix of the cleaning or of a record. @module */
import type { Outgoing } from "shared/bus/message.ts";
import { redriveQuarantined } from "shared/contracts/data_preprocessing.ts";
import type { CallContext, ReplyOf, RequestOf } from "shared/contracts/endpoint.ts";
import type { DataRecord } from "shared/contracts/envelope.ts";
import type { Database, Transaction } from "shared/db/connection.ts";
import { once } from "shared/db/idempotency.ts";
import { enqueue } from "shared/db/outbox.ts";
import { invalid, notFound } from "shared/errors.ts";
import { type ArrivedRecord, cleanEvent, statesAmong } from "./clean_records.ts";
import { toMessages } from "./clean_messages.ts";
import type { Cleanings, VersionedCleaning } from "./cleanings.ts";
import type { Cleaned } from "./domain/cleaning.ts";
import { countOutcome, Counts } from "./domain/counts.ts";
import { entityName } from "./domain/stages/entity_name.ts";
import { itemOf, type Quarantined, quarantinedOf } from "./domain/items.ts";
import { observationOf, type Observe } from "./observe.ts";
import { refuseLongOutbox } from "./outbox_room.ts";
import { addToCounts } from "./repository/counts.ts";
import { lockSource } from "./repository/intake.ts";
import { createMemory, keepStates } from "./repository/memory.ts";
import {
  deleteQuarantined,
  type HeldBackRecord,
  lockQuarantined,
  type StillQuarantined,
  updateQuarantined,
} from "./repository/quarantined.ts";

export interface RedriveDeps extends Pick<Cleanings, "cleaningOf"> {
  db: Database;
  /** How a source names its entities; undefined: it is of none, or unknown. */
  entityFields(source: string): readonly string[] | undefined;
  observe: Observe;
  pokeOutbox(): void;
}

type Request = RequestOf<typeof redriveQuarantined>;
type Reply = ReplyOf<typeof redriveQuarantined>;

/** Of the records in one transaction: a call with few and large ones ends before its limit. */
const MAX_BYTES = 4 * 1024 * 1024;

/**
 * Cleans quarantined records of the live flow again, oldest first, by the cleaning in force. What is clean now is
 * published, what is filtered is gone, and what still fails stays, with what is wrong now. The counts move on the day
 * on which each record came. Where one item of a record failed, the others went on long ago: only that one is looked
 * at.
 *
 * @throws {AppError} `invalid` when there is a fix for anything but one record, `not_found` when that is not there
 */
export async function redrive(deps: RedriveDeps, request: Request, context: CallContext): Promise<Reply> {
  const { fix, numbers, limit, after } = request;
  if (fix !== undefined && numbers?.length !== 1) {
    throw invalid("Cannot fix quarantined records: a fix needs exactly one number, and that of its record");
  }
  const reply = await once(
    deps.db,
    context,
    { endpoint: redriveQuarantined.subject, request },
    async (tx): Promise<Reply> => {
      const before = after === undefined ? 0 : Number(after);
      const filter = { source: request.source, path: request.path, numbers };
      const records = await lockQuarantined(tx, filter, { after: before, limit, maxBytes: MAX_BYTES });
      if (fix !== undefined && records.length === 0) {
        throw notFound(
          `Cannot fix the quarantined record ${numbers![0]}: there is none, or it is of a replay`,
        );
      }
      const fixed = fix === undefined ? records : records.map((record) => withFix(record, fix, deps));
      const outcomes = await cleanAll(tx, deps, fixed);
      const last = records.at(-1);
      const more = last !== undefined &&
        (await lockQuarantined(tx, filter, { after: last.number, limit: 1, maxBytes: 0 })).length > 0;
      return { ...outcomes, next: more ? String(last.number) : null };
    },
  );
  deps.pokeOutbox();
  return reply;
}

/** @throws {AppError} `invalid` when the record names no entity any more, though it is of one */
function withFix(
  record: HeldBackRecord,
  fix: DataRecord,
  { entityFields }: Pick<RedriveDeps, "entityFields">,
): HeldBackRecord {
  const data = { ...record.event.data };
  for (const [field, value] of Object.entries(fix)) {
    if (value === null) delete data[field];
    else data[field] = value;
  }
  const fields = entityFields(record.event.source);
  const namesEntity = record.event.subject !== undefined && fields?.some((field) => field in fix);
  if (!namesEntity) return { ...record, event: { ...record.event, data } };
  const subject = entityName(data, fields!);
  if (subject === undefined) {
    throw invalid(
      `Cannot fix the quarantined record ${record.number}: ` +
        `${fields!.join(", ")} must be texts, numbers or booleans, for they name the entity`,
    );
  }
  return { ...record, event: { ...record.event, subject, data } };
}

type Outcomes = Pick<Reply, "clean" | "filtered" | "quarantined">;

async function cleanAll(
  tx: Transaction,
  deps: RedriveDeps,
  records: readonly HeldBackRecord[],
): Promise<Outcomes> {
  const outcomes: Outcomes = { clean: 0, filtered: 0, quarantined: 0 };
  const counts = new Counts();
  const outbox: Outgoing[] = [];
  const bySource = Map.groupBy(records, ({ event }) => event.source);
  for (const [source, ofSource] of [...bySource].sort(([a], [b]) => a < b ? -1 : 1)) {
    const cleaning = await deps.cleaningOf(source);
    const clean = await cleanAgain(tx, { source, cleaning, records: ofSource }, { counts, outcomes });
    outbox.push(...toMessages({ run: "", source }, clean));
    await deps.observe(tx, [observationOf({ run: "", source, cleaning, records: clean }, clean)]);
  }
  await addToCounts(tx, counts.entries);
  if (outbox.length > 0) await refuseLongOutbox(tx);
  await enqueue(tx, outbox);
  return outcomes;
}

async function cleanAgain(
  tx: Transaction,
  { source, cleaning: { cleaning, version }, records }: {
    source: string;
    cleaning: VersionedCleaning;
    records: readonly HeldBackRecord[];
  },
  { counts, outcomes }: { counts: Counts; outcomes: Outcomes },
): Promise<ArrivedRecord[]> {
  const flow = { run: "", source };
  if (!cleaning.pure) await lockSource(tx, flow);
  const memory = createMemory(tx, flow);
  const cleaned = await cleaning.clean(
    records.map(({ event: { id, time, knownat, data } }) => ({
      event: { id, time, knownAt: knownat },
      data,
    })),
    { memory },
  );
  await memory.save(tx);

  const clean: ArrivedRecord[] = [];
  const still: StillQuarantined[] = [];
  const made = Map.groupBy(cleaned, ({ origin }) => origin);
  for (const [origin, record] of records.entries()) {
    const parts = partsOf(record, made.get(origin) ?? []);
    const count = counts.of(flow, record.day);
    count.quarantined -= record.items?.length ?? 1;
    if (record.items === null) count.exploded += parts.length - 1;
    for (const part of parts) {
      countOutcome(count, part);
      outcomes[part.outcome]++;
      if (part.outcome === "clean") {
        clean.push({ event: cleanEvent(record.event, part, version), arrival: arrivalOf(record) });
      }
    }
    const failed = parts.filter((part): part is Quarantined => part.outcome === "quarantined");
    if (failed.length > 0) {
      const { number, event: { id, data } } = record;
      still.push({ number, cleaning: version, data, ...quarantinedOf(id, failed) });
    }
  }
  const kept = new Set(still.map(({ number }) => number));
  await updateQuarantined(tx, still);
  await deleteQuarantined(tx, records.map(({ number }) => number).filter((number) => !kept.has(number)));
  await keepStates(tx, statesAmong(clean));
  return clean;
}

/** What is to be looked at of what a record became. An item that it does not have any more is filtered. */
function partsOf({ event: { id }, items }: HeldBackRecord, parts: readonly Cleaned[]): readonly Cleaned[] {
  if (items === null) return parts;
  const byItem = new Map(parts.map((part) => [itemOf(id, part), part]));
  return items.map((item): Cleaned =>
    byItem.get(item) ??
      { origin: 0, id: `${id}${item}`, outcome: "filtered", reason: "no longer an item of its record" }
  );
}

function arrivalOf({ project, day }: HeldBackRecord): ArrivedRecord["arrival"] {
  return {
    sequence: 0,
    receivedAt: `${day}T00:00:00.000Z`,
    project: project ?? undefined,
    clock: undefined,
  };
}
