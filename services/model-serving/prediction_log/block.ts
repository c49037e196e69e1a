/**
 * A block of the prediction log while it is written (shared/contracts/model_serving/prediction_block.ts). A call becomes
 * JSON as soon as it is answered, and as bytes: what waits to be sent is no garbage of the process, and little of it.
 *
 * @module
 */
import { EVENT_TYPE, MAX_BATCH_BYTES, MAX_BATCH_EVENTS } from "shared/contracts/envelope.ts";
import type { ServedStatus } from "shared/contracts/model_serving.ts";
import { toInstant } from "shared/contracts/time.ts";
import { type Given, GivenColumns } from "../validation/given.ts";
import { type JsonBytes, toBytes } from "./json_bytes.ts";
import type { CallOrigin, LoggedCall } from "./logged_call.ts";

/** Whose block it is. */
export interface LogOrigin {
  model: string;
  instance: string;
  boot: string;
}

export interface BlockOptions extends LogOrigin {
  /** The number of its first record. */
  sequence: number;
  /** The share of answers that is logged. */
  sample: number;
}

/** Rows of a call, from one to the one before another. */
export interface RowRange {
  from: number;
  to: number;
}

export class Block {
  readonly sequence: number;
  #records = 0;
  readonly #origin: CallOrigin;
  readonly #sample: number;
  readonly #servedAtMs: number;
  readonly #out: JsonBytes;
  /** Where the first call begins, and each ends; and how many records each is. */
  readonly #begin: number;
  readonly #ends: number[] = [];
  readonly #sizes: number[] = [];
  /** Calls before it are dropped. */
  #first = 0;

  /**
   * @param call the first that is to be in it; others must share its origin
   * @param out empty, and the block's until {@link take}
   */
  constructor(call: LoggedCall, { sequence, sample, ...origin }: BlockOptions, out: JsonBytes) {
    this.sequence = sequence;
    this.#origin = call;
    this.#sample = sample;
    this.#servedAtMs = call.servedAtMs;
    this.#out = out;
    out.text(headText(call, { sequence, sample, ...origin }));
    this.#begin = out.length;
  }

  /** Records in it. */
  get records(): number {
    return this.#records;
  }

  /** Whether a call may stand in it. */
  takes(call: CallOrigin, sample: number): boolean {
    const origin = this.#origin;
    return origin.features === call.features && origin.arm === call.arm && origin.version === call.version &&
      origin.featuresFrom === call.featuresFrom && origin.rerouted === call.rerouted &&
      origin.assigned === call.assigned && origin.featureService === call.featureService &&
      origin.classes === call.classes && origin.project === call.project && this.#sample === sample;
  }

  /**
   * Writes rows of a call, whose first has the number `sequence`.
   *
   * @returns false, and nothing is written, where a message would become too large by it; a single row always fits an
   * empty block
   */
  add(call: LoggedCall, rows: RowRange, sequence: number): boolean {
    const count = rows.to - rows.from;
    const isEmpty = this.#ends.length === 0;
    if (!isEmpty && this.#records + count > MAX_BATCH_EVENTS) return false;
    const out = this.#out;
    const before = out.length;
    if (!isEmpty) out.bytes(COMMA);
    writeCall(out, call, { rows, sequence, afterMs: call.servedAtMs - this.#servedAtMs });
    const isTooLarge = out.length + END.length > MAX_BATCH_BYTES || count > MAX_BATCH_EVENTS;
    if (isTooLarge && (!isEmpty || count > 1)) {
      out.truncate(before);
      return false;
    }
    this.#ends.push(out.length);
    this.#sizes.push(count);
    this.#records += count;
    return true;
  }

  /** Drops the call that was written first. @returns how many records it was */
  dropFirst(): number {
    const count = this.#sizes[this.#first++]!;
    this.#records -= count;
    return count;
  }

  /** Ends the block. What it was written to is whoever's that takes it, and is to be used again once it is sent. */
  take(): JsonBytes {
    const out = this.#out;
    if (this.#first > 0) {
      // Behind the call before it stands a comma.
      out.cut(this.#begin, this.#ends[this.#first - 1]! + COMMA.length);
    }
    out.bytes(END);
    return out;
  }
}

const COMMA = toBytes(",");
const END = toBytes("]}}]");

function headText(call: LoggedCall, { model, instance, boot, sequence, sample }: BlockOptions): string {
  const servedAt = toInstant(call.servedAtMs);
  const { project, version, arm, assigned, rerouted, featuresFrom, featureService, features, classes } = call;
  const data = JSON.stringify({
    project,
    model,
    version,
    arm,
    assigned,
    rerouted,
    featuresFrom,
    featureService,
    features,
    classes,
    sample,
    instance,
    boot,
    servedAt,
  });
  return `[{"specversion":"1.0","id":"${boot}/${sequence}","source":"${model}","type":"${EVENT_TYPE.prediction}"` +
    `,"time":"${servedAt}","knownat":"${servedAt}","definition":${version ?? 0}` +
    `,"data":${data.slice(0, -1)},"calls":[`;
}

const SEQUENCE = toBytes(`{"sequence":`);
const AFTER = toBytes(`,"afterMs":`);
const LATENCY = toBytes(`,"latencyMs":`);
const IDS = toBytes(`,"ids":["`);
const BETWEEN_IDS = toBytes(`","`);
const OUTPUTS = toBytes(`"],"outputs":[`);
const NO_OUTPUTS = toBytes(`"]`);
const OPEN_LIST = toBytes("[");
const CLOSE_LIST = toBytes("]");
const CLOSE = toBytes("}");

function writeCall(
  out: JsonBytes,
  call: LoggedCall,
  { rows, sequence, afterMs }: { rows: RowRange; sequence: number; afterMs: number },
): void {
  const { from, to } = rows;
  const { ids, outputs, given, failure, probabilities } = call;
  out.bytes(SEQUENCE);
  out.number(sequence);
  out.bytes(AFTER);
  out.number(afterMs);
  out.bytes(LATENCY);
  out.number(call.latencyMs);
  if (call.at !== null) field(out, "at", call.at);
  if (call.traceparent !== undefined) field(out, "traceparent", call.traceparent);
  if (call.position !== null) field(out, "position", call.position);
  if (call.snapshot !== null) field(out, "snapshot", call.snapshot);
  if (failure !== undefined) field(out, "failure", failure);
  out.bytes(IDS);
  for (let row = from; row < to; row++) {
    if (row > from) out.bytes(BETWEEN_IDS);
    out.ascii(ids[row]!);
  }
  if (outputs === undefined) out.bytes(NO_OUTPUTS);
  else {
    out.bytes(OUTPUTS);
    out.values(outputs, from, to);
    out.bytes(CLOSE_LIST);
  }
  if (probabilities !== undefined) {
    out.bytes(PROBABILITIES);
    const width = call.classes!.length;
    lists(out, rows, (row) => out.values(probabilities, row * width, (row + 1) * width));
  }
  if (given !== undefined) writeGiven(out, given, call.features.length, rows);
  writeRare(out, call, rows);
  out.bytes(CLOSE);
}

/** What most calls have nothing of. */
function writeRare(out: JsonBytes, call: LoggedCall, { from, to }: RowRange): void {
  const { entities, request, statuses, marks, shadowOf } = call;
  if (entities !== undefined) field(out, "entities", entities.slice(from, to));
  if (request !== undefined) field(out, "request", request.slice(from, to));
  if (statuses !== undefined) {
    const others = statuses.slice(from, to).map((row) => notPresent(call.features, row));
    if (others.some((row) => row !== NONE)) field(out, "statuses", others);
  }
  if (marks !== undefined && marks.size > 0) {
    field(out, "marks", Array.from({ length: to - from }, (_, index) => marks.get(from + index) ?? NONE));
  }
  if (shadowOf !== undefined) field(out, "shadowOf", shadowOf.slice(from, to));
}

function field(out: JsonBytes, name: string, value: unknown): void {
  out.text(`,"${name}":${JSON.stringify(value)}`);
}

const PROBABILITIES = toBytes(`,"probabilities":`);
const ROWS = toBytes(`,"rows":`);
const OPEN_LISTS = toBytes("[[");
const BETWEEN_LISTS = toBytes("],[");
const CLOSE_LISTS = toBytes("]]");

/** What came as float32 is no number of more digits; answers are written as their callers got them. */
function writeGiven(out: JsonBytes, given: Given, width: number, rows: RowRange): void {
  out.bytes(ROWS);
  if (given instanceof GivenColumns) {
    out.bytes(OPEN_LIST);
    out.rowsOfColumns(given.lists, rows.from, rows.to);
    out.bytes(CLOSE_LIST);
  } else if (given instanceof Float32Array) {
    lists(out, rows, (row) => out.float32s(given, row * width, (row + 1) * width));
  } else {
    lists(out, rows, (row) => out.values(given, row * width, (row + 1) * width));
  }
}

/** For each row a list. */
function lists(out: JsonBytes, { from, to }: RowRange, write: (row: number) => void): void {
  out.bytes(OPEN_LISTS);
  for (let row = from; row < to; row++) {
    if (row > from) out.bytes(BETWEEN_LISTS);
    write(row);
  }
  out.bytes(CLOSE_LISTS);
}

const NONE: Readonly<Record<string, never>> = {};

function notPresent(
  features: readonly string[],
  statuses: readonly ServedStatus[],
): Readonly<Record<string, ServedStatus>> {
  let others: Record<string, ServedStatus> | undefined;
  for (const [index, status] of statuses.entries()) {
    if (status !== "PRESENT") (others ??= {})[features[index]!] = status;
  }
  return others ?? NONE;
}
