/**
 * Log entries as messages. The JSON is written by hand, with everything that a model's records have in common put
 * together once: the log has a record for every answer, and must cost little beside it.
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
import { LOG_HEADER } from "shared/contracts/model_serving.ts";
import { subject } from "shared/contracts/streams.ts";
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

export interface EntryEncoder {
  /**
   * Messages of at most {@link MAX_BATCH_EVENTS} entries and about {@link MAX_BATCH_BYTES} bytes.
   *
   * @param sample the share of successes that is logged
   * @param head how many records were made of the model so far
   */
  encode(entries: readonly NumberedEntry[], head: number, sample: number): Outgoing[];
  /** A message that says how far the boot is, and that it lives; each by its number. */
  tell(head: number, number: number): Outgoing;
  /** The message of a boot that ends in order. */
  close(head: number): Outgoing;
}

const encoder = new TextEncoder();

export function createEntryEncoder({ model, instance, boot }: LogOrigin): EntryEncoder {
  const start = `","source":"${model}","type":"${EVENT_TYPE.prediction}","time":"`;
  const origin = `","instance":${JSON.stringify(instance)},"boot":"${boot}","sequence":`;
  /** The names as they stand before their values, by the list of features, or of classes, that the calls of a version share. */
  const namesOf = new WeakMap<readonly string[], string[]>();

  function prefixes(list: readonly string[]): string[] {
    let names = namesOf.get(list);
    if (names === undefined) {
      names = list.map((name, index) => `${index === 0 ? "" : ","}${JSON.stringify(name)}:`);
      namesOf.set(list, names);
    }
    return names;
  }

  function toText({ entry, sequence }: NumberedEntry, sample: number): string {
    const { call } = entry;
    const names = prefixes(call.features);
    let features = "";
    if (entry.given !== undefined) {
      const offset = entry.row * names.length;
      for (let index = 0; index < names.length; index++) {
        features += names[index]! + valueText(entry.given[offset + index]);
      }
    }
    let probabilities = "null";
    if (entry.probabilities !== undefined && call.classes !== null) {
      const ofClass = prefixes(call.classes);
      const offset = entry.row * ofClass.length;
      probabilities = "{";
      for (let index = 0; index < ofClass.length; index++) {
        probabilities += ofClass[index]! + valueText(entry.probabilities[offset + index]);
      }
      probabilities += "}";
    }
    return `{"specversion":"1.0","id":"${entry.id}${start}${call.at}","knownat":"${call.servedAt}","definition":` +
      `${call.version ?? 0}` +
      (call.traceparent === undefined ? "" : `,"traceparent":${JSON.stringify(call.traceparent)}`) +
      `,"data":{"project":${nameText(call.project)},"model":"${model}","version":${call.version}` +
      `,"arm":${nameText(call.arm)},"assigned":${nameText(call.assigned)},"rerouted":${
        nameText(call.rerouted)
      }` +
      `,"shadowOf":${nameText(entry.shadowOf)},"outcome":"${entry.outcome}","code":${nameText(entry.code)}` +
      `,"error":${entry.error === null ? "null" : JSON.stringify(entry.error)}` +
      `,"output":${valueText(entry.output)}` +
      `,"probabilities":${probabilities}` +
      `,"entity":${entry.entity === null ? "null" : JSON.stringify(entry.entity)},"features":{${features}}` +
      `,"statuses":{${entry.statuses === undefined ? "" : statusesText(names, entry.statuses)}}` +
      `,"marks":${entry.marks === undefined ? "{}" : JSON.stringify(entry.marks)}` +
      `,"request":${entry.request === undefined ? "null" : JSON.stringify(entry.request)}` +
      `,"featuresFrom":${nameText(call.featuresFrom)},"featureService":${serviceText(call.featureService)}` +
      `,"position":${call.position},"snapshot":${nameText(call.snapshot)}` +
      `,"latencyMs":${valueText(call.latencyMs)},"sample":${
        isAlwaysLogged(entry) ? 1 : sample
      },"servedAt":"${call.servedAt}` +
      `${origin}${sequence}}}`;
  }

  function message(text: string, id: string, head: number, more: Record<string, string> = {}): Outgoing {
    return {
      subject: subject.predictions(model),
      data: encoder.encode(text),
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
      const messages: Outgoing[] = [];
      let text = "";
      let first = 0;
      const finish = (next: number) => {
        messages.push(message(`[${text}]`, String(entries[first]!.sequence), head));
        text = "";
        first = next;
      };
      entries.forEach((numbered, index) => {
        const event = toText(numbered, sample);
        const isFull = index - first >= MAX_BATCH_EVENTS || text.length + event.length > MAX_BATCH_BYTES - 2;
        if (isFull && text !== "") finish(index);
        text += text === "" ? event : `,${event}`;
      });
      if (text !== "") finish(entries.length);
      return messages;
    },
    tell: (head, number) => message("[]", `tell-${number}`, head),
    close: (head) => message("[]", `closed-${head}`, head, { [LOG_HEADER.closed]: "true" }),
  };
}

/** Sampling leaves successes out, and what a shadow said of them. */
export const isAlwaysLogged = ({ outcome, shadowOf }: LogEntry): boolean =>
  outcome === "error" && shadowOf === null;

/** For what holds nothing that JSON escapes: names, codes, ids of our own. */
const nameText = (name: string | null): string => name === null ? "null" : `"${name}"`;

const serviceText = (service: LoggedCall["featureService"]): string =>
  service === null ? "null" : `{"name":"${service.name}","version":${service.version}}`;

function valueText(value: unknown): string {
  if (typeof value === "number") return Number.isFinite(value) ? `${value}` : "null";
  return value === undefined ? "null" : JSON.stringify(value);
}

/** Those that are not PRESENT. */
function statusesText(names: readonly string[], statuses: readonly string[]): string {
  let text = "";
  statuses.forEach((status, index) => {
    if (status === "PRESENT") return;
    const name = names[index]!;
    // Only the first name has no comma before it.
    text += `${text === "" ? "" : ","}${index === 0 ? name : name.slice(1)}"${status}"`;
  });
  return text;
}
