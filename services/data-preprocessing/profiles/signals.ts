/** What stands about a source, told as signals. @module */
import { v7 as uuidv7 } from "uuid";
import { encodeBatches } from "shared/bus/batch.ts";
import type { Outgoing } from "shared/bus/message.ts";
import { EVENT_TYPE, type PlatformEvent } from "shared/contracts/envelope.ts";
import type { Signal } from "shared/contracts/signal.ts";
import { subject } from "shared/contracts/streams.ts";
import { toInstant } from "shared/contracts/time.ts";

export interface SourceSignal {
  source: string;
  project: string;
  /** Version of the cleaning; 0: there is none. */
  cleaning: number;
  /** `quality`: expectations about windows; `profile`: anomalies. */
  kind: "quality" | "profile";
  /** What is wrong; nothing: all is well. */
  findings: readonly string[];
  /** What it is about, in the summary: `in 2011-05-02T00:00:00.000Z, P1D`. */
  about: string;
  details: Record<string, unknown>;
}

/** More would not help anybody; all of them stand in the profile. */
const FINDINGS_SHOWN = 20;

/** The value is the number of findings; one is a breach. */
export function sourceSignal(told: SourceSignal): Outgoing {
  const { source, project, cleaning, kind, findings, about, details } = told;
  const [first] = findings;
  const rest = findings.length > 1 ? `, and ${findings.length - 1} more` : "";
  const data: Signal = {
    project,
    kind,
    subjectType: "source",
    name: source,
    status: first === undefined ? "ok" : "breach",
    value: findings.length,
    threshold: 1,
    summary: first === undefined
      ? `${source} is as it should be ${about}`
      : `${source} ${about}: ${first}${rest}`,
    details: { ...details, findings: findings.slice(0, FINDINGS_SHOWN) },
  };
  const now = toInstant(Date.now());
  const event: PlatformEvent<Signal> = {
    specversion: "1.0",
    id: uuidv7(),
    source,
    type: EVENT_TYPE.signal,
    time: now,
    knownat: now,
    definition: cleaning,
    data,
  };
  return encodeBatches([event], { subject: subject.signal(kind, "source", source) })[0]!;
}
