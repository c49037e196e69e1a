/**
 * The streams, their durable consumers, the key-value buckets and the object store, as data.
 * Every service makes sure at its start that all of them exist (shared/bus/topology.ts), because a stream
 * with interest retention drops what is published before its durables are there.
 *
 * @module
 */

export interface StreamRow {
  name: string;
  subjects: readonly string[];
  /** `interest`: kept until every durable acknowledged. `limits`: kept until a limit is reached. */
  retention: "interest" | "limits";
  /** What happens to a publish when a limit is reached: `new` refuses it, `old` drops the oldest. */
  discard: "new" | "old";
  maxBytes: number;
  maxAgeMs?: number;
  /** Durable pull consumers; each is shared by the copies of one service. */
  durables: readonly string[];
}

const MiB = 1024 * 1024;
const DAY_MS = 86_400_000;

export const STREAM = {
  events: {
    name: "EVENTS",
    subjects: ["events.*"],
    retention: "limits",
    discard: "new",
    maxBytes: 4096 * MiB,
    maxAgeMs: 7 * DAY_MS,
    durables: ["data-ingestion"],
  },
  ingested: {
    name: "INGESTED",
    subjects: ["ingested.*"],
    retention: "interest",
    discard: "new",
    maxBytes: 1024 * MiB,
    durables: ["data-preprocessing"],
  },
  replay: {
    name: "REPLAY",
    subjects: ["replay.*.*"],
    retention: "interest",
    discard: "new",
    maxBytes: 512 * MiB,
    durables: ["data-preprocessing"],
  },
  clean: {
    name: "CLEAN",
    subjects: ["clean.*"],
    retention: "interest",
    discard: "new",
    maxBytes: 1024 * MiB,
    durables: ["feature-store"],
  },
  models: {
    name: "MODELS",
    subjects: ["models.*.*"],
    retention: "interest",
    discard: "new",
    maxBytes: 64 * MiB,
    durables: ["model-monitoring"],
  },
  predictions: {
    name: "PREDICTIONS",
    subjects: ["predictions.*"],
    retention: "limits",
    discard: "old",
    maxBytes: 4096 * MiB,
    maxAgeMs: 30 * DAY_MS,
    durables: ["model-monitoring"],
  },
  labels: {
    name: "LABELS",
    subjects: ["labels.*"],
    retention: "limits",
    discard: "old",
    maxBytes: 1024 * MiB,
    maxAgeMs: 90 * DAY_MS,
    durables: [],
  },
  signals: {
    name: "SIGNALS",
    subjects: ["signals.*.*.*"],
    retention: "interest",
    discard: "new",
    maxBytes: 64 * MiB,
    durables: ["alert"],
  },
  alerts: {
    name: "ALERTS",
    subjects: ["alerts.*"],
    retention: "interest",
    discard: "new",
    maxBytes: 64 * MiB,
    durables: ["orchestration"],
  },
  deadletter: {
    name: "DEADLETTER",
    subjects: ["deadletter.*.*.*"],
    retention: "limits",
    discard: "old",
    maxBytes: 1024 * MiB,
    maxAgeMs: 90 * DAY_MS,
    durables: [],
  },
} as const satisfies Record<string, StreamRow>;

export const STREAMS: readonly StreamRow[] = Object.values(STREAM);

/** Subjects, built in one place so that no service spells them twice. */
export const subject = {
  events: (source: string) => `events.${source}`,
  ingested: (source: string) => `ingested.${source}`,
  replay: (run: string, source: string) => `replay.${run}.${source}`,
  clean: (source: string) => `clean.${source}`,
  model: (event: "registered" | "aliased" | "unaliased" | "retired", model: string) =>
    `models.${event}.${model}`,
  predictions: (model: string) => `predictions.${model}`,
  labels: (model: string) => `labels.${model}`,
  signal: (kind: string, subjectType: string, name: string) => `signals.${kind}.${subjectType}.${name}`,
  alert: (severity: string) => `alerts.${severity}`,
  /** Core NATS: how far a training run is (`runEventSchema`). */
  trainingRun: (run: string) => `training.runs.${run}`,
  /** Core NATS: where a trainer outside model-training is asked (`trainerJobSchema`). */
  trainer: (algorithm: string) => `training.trainers.${algorithm}`,
  /** Core NATS: where it says how far a run is, and in the end what came of it (`trainerMessageSchema`). */
  trainerReply: (run: string) => `training.replies.${run}`,
  deadletter: (service: string, stream: string, name: string) => `deadletter.${service}.${stream}.${name}`,
} as const;

/** Key-value buckets: state that must be right after a missed message. Each entry is JSON with a `revision` or `version`. */
export const BUCKET = {
  /** `<service>.<kind>.<name>` -> the definition in force. Written by the service that owns the kind. */
  definitions: "definitions",
  /** `<model>.<alias>` -> the version it points to. Written by model-training. */
  aliases: "aliases",
  /** `<project>` -> the project clock. Written by data-ingestion. */
  clocks: "clocks",
  /** `<source>` -> why its records are held. Written by data-preprocessing. */
  blocks: "blocks",
} as const;

/** The object store: files under their SHA-256 (training sets, ONNX models). */
export const FILES_BUCKET = "files";
