/**
 * Log entries as messages. The JSON is written by hand, as bytes, and what the rows of a call have in common only once:
 * the log has a record for every answer, and must cost little beside it.
 *
 * @module
 */
import type { Outgoing } from "shared/bus/publisher.ts";
import {
  CLOUDEVENTS_BATCH_TYPE,
  EVENT_TYPE,
  HEADER,
  MAX_BATCH_BYTES,
  MAX_BATCH_EVENTS,
} from "shared/contracts/envelope.ts";
import { LOG_HEADER, type ServedStatus } from "shared/contracts/model_serving.ts";
import { subject } from "shared/contracts/streams.ts";
import { JsonBytes, toBytes } from "./json_bytes.ts";
import type { LogEntry, LoggedCall } from "./log_entry.ts";

/** An entry with its place in the sequence of its model. */
export interface NumberedEntry {
  entry: LogEntry;
  sequence: number;
}

/** Whose entries they are. */
export interface LogOrigin {
  model: string;
  instance: string;
  boot: string;
}

/** A message with how many entries are in it. */
export interface LogMessage {
  message: Outgoing;
  entries: number;
}

export interface EntryEncoder {
  /**
   * Messages of at most {@link MAX_BATCH_EVENTS} entries and about {@link MAX_BATCH_BYTES} bytes.
   *
   * @param sample the share of successes that is logged
   * @param head how many records were made of the model so far
   */
  encode(entries: readonly NumberedEntry[], head: number, sample: number): LogMessage[];
  /** A message that says how far the boot is, and that it lives; each by its number. */
  tell(head: number, number: number): Outgoing;
  /** The message of a boot that ends in order. */
  close(head: number): Outgoing;
}

/** Where something stands in what is being written. */
interface Span {
  from: number;
  to: number;
}

export function createEntryEncoder({ model, instance, boot }: LogOrigin): EntryEncoder {
  const out = new JsonBytes();
  const source = `","source":"${model}","type":"${EVENT_TYPE.prediction}","time":"`;
  const origin = `,"instance":${JSON.stringify(instance)},"boot":"${boot}"`;
  /** Where the parts stand that the rows of a call share, as they were written for the row before. */
  let shared: { call: LoggedCall; head: Span; tail: Span } | undefined;
  /** The names as they stand before their values, by the list of features, or of classes, that the calls of a version share. */
  const namesOf = new WeakMap<readonly string[], Uint8Array[]>();

  function prefixes(list: readonly string[]): Uint8Array[] {
    let names = namesOf.get(list);
    if (names === undefined) {
      names = list.map((name, index) => toBytes(`${index === 0 ? "" : ","}${JSON.stringify(name)}:`));
      namesOf.set(list, names);
    }
    return names;
  }

  function write({ entry, sequence }: NumberedEntry, sample: number): void {
    const { call } = entry;
    const known = shared?.call === call ? shared : undefined;
    out.text(`,{"specversion":"1.0","id":"${entry.id}`);
    const head = writeShared(known?.head, () => headText(call));
    writeOutcome(entry);
    out.bytes(ENTITY);
    out.value(entry.entity);
    out.bytes(FEATURES);
    writeRow(call.features, entry.given, entry.row);
    writeDetails(entry);
    const tail = writeShared(known?.tail, () => tailText(call));
    out.bytes(SAMPLE);
    out.value(isAlwaysLogged(entry) ? 1 : sample);
    out.bytes(SEQUENCE);
    out.value(sequence);
    out.bytes(END);
    shared = { call, head, tail };
  }

  function writeShared(known: Span | undefined, text: () => string): Span {
    const from = out.length;
    if (known === undefined) out.text(text());
    else out.again(known.from, known.to);
    return { from, to: out.length };
  }

  /** Values by name; of rows that follow each other the one at `row`. */
  function writeRow(names: readonly string[], values: ArrayLike<unknown> | undefined, row: number): void {
    out.bytes(OPEN);
    if (values !== undefined) {
      const before = prefixes(names);
      const offset = row * before.length;
      for (let index = 0; index < before.length; index++) {
        out.bytes(before[index]!);
        out.value(values[offset + index]);
      }
    }
    out.bytes(CLOSE);
  }

  function writeOutcome(
    { call, shadowOf, outcome, code, error, output, probabilities, row }: LogEntry,
  ): void {
    if (outcome === "ok" && shadowOf === null) out.bytes(ANSWERED);
    else {
      out.text(`,"shadowOf":${nameText(shadowOf)},"outcome":"${outcome}","code":${nameText(code)},"error":`);
      out.value(error);
    }
    out.bytes(OUTPUT);
    out.value(output);
    out.bytes(PROBABILITIES);
    if (probabilities === undefined || call.classes === null) out.value(null);
    else writeRow(call.classes, probabilities, row);
  }

  function writeDetails({ call, statuses, marks, request }: LogEntry): void {
    if (statuses === undefined && marks === undefined && request === undefined) return out.bytes(NO_DETAILS);
    out.bytes(STATUSES);
    out.value(statuses === undefined ? {} : notPresent(call.features, statuses));
    out.bytes(MARKS);
    out.value(marks ?? {});
    out.bytes(REQUEST);
    out.value(request);
  }

  function headText(call: LoggedCall): string {
    return `${source}${call.at}","knownat":"${call.servedAt}","definition":${call.version ?? 0}` +
      (call.traceparent === undefined ? "" : `,"traceparent":${JSON.stringify(call.traceparent)}`) +
      `,"data":{"project":${nameText(call.project)},"model":"${model}","version":${call.version}` +
      `,"arm":${nameText(call.arm)},"assigned":${nameText(call.assigned)}` +
      `,"rerouted":${nameText(call.rerouted)}`;
  }

  function tailText(call: LoggedCall): string {
    return `,"featuresFrom":${nameText(call.featuresFrom)}` +
      `,"featureService":${serviceText(call.featureService)}` +
      `,"position":${call.position},"snapshot":${nameText(call.snapshot)}` +
      `,"latencyMs":${call.latencyMs},"servedAt":"${call.servedAt}"${origin}`;
  }

  function message(data: Uint8Array, id: string, head: number, more: Record<string, string> = {}): Outgoing {
    return {
      subject: subject.predictions(model),
      data,
      messageId: `${model}:${boot}:${id}`,
      headers: {
        [HEADER.contentType]: CLOUDEVENTS_BATCH_TYPE,
        [LOG_HEADER.instance]: instance,
        [LOG_HEADER.boot]: boot,
        [LOG_HEADER.head]: String(head),
        ...more,
      },
    };
  }

  return {
    encode(entries, head, sample) {
      const messages: LogMessage[] = [];
      let first = 0;
      const finish = (next: number, upTo = out.length) => {
        messages.push({
          message: message(out.takeList(upTo), String(entries[first]!.sequence), head),
          entries: next - first,
        });
        first = next;
        shared = undefined;
      };
      entries.forEach((numbered, index) => {
        if (index - first >= MAX_BATCH_EVENTS) finish(index);
        const from = out.length;
        write(numbered, sample);
        // What is too much for this message is the first of the next.
        if (index > first && out.length > MAX_BATCH_BYTES) finish(index, from);
      });
      finish(entries.length);
      return messages;
    },
    tell: (head, number) => message(EMPTY, `tell-${number}`, head),
    close: (head) => message(EMPTY, `closed-${head}`, head, { [LOG_HEADER.closed]: "true" }),
  };
}

const EMPTY = toBytes("[]");
const OPEN = toBytes("{");
const CLOSE = toBytes("}");
const ANSWERED = toBytes(`,"shadowOf":null,"outcome":"ok","code":null,"error":null`);
const OUTPUT = toBytes(`,"output":`);
const PROBABILITIES = toBytes(`,"probabilities":`);
const ENTITY = toBytes(`,"entity":`);
const FEATURES = toBytes(`,"features":`);
const STATUSES = toBytes(`,"statuses":`);
const MARKS = toBytes(`,"marks":`);
const REQUEST = toBytes(`,"request":`);
const NO_DETAILS = toBytes(`,"statuses":{},"marks":{},"request":null`);
const SAMPLE = toBytes(`,"sample":`);
const SEQUENCE = toBytes(`,"sequence":`);
const END = toBytes("}}");

/** Sampling leaves successes out, and what a shadow said of them. */
export const isAlwaysLogged = ({ outcome, shadowOf }: LogEntry): boolean =>
  outcome === "error" && shadowOf === null;

/** For what holds nothing that JSON escapes: names, codes, ids of our own. */
const nameText = (name: string | null): string => name === null ? "null" : `"${name}"`;

const serviceText = (service: LoggedCall["featureService"]): string =>
  service === null ? "null" : `{"name":"${service.name}","version":${service.version}}`;

function notPresent(
  features: readonly string[],
  statuses: readonly ServedStatus[],
): Record<string, ServedStatus> {
  const others: Record<string, ServedStatus> = {};
  for (const [index, status] of statuses.entries()) {
    if (status !== "PRESENT") others[features[index]!] = status;
  }
  return others;
}
