/**
 * The table of services. Everything that lists services reads it: the launcher, the migrations, the compose file's
 * test, the console, the documentation's test.
 *
 * @module
 */

export interface ServiceDatabase {
  /** Name of the database, of its role, and of the role's password on a developer's machine. */
  name: string;
  /** Where docker compose publishes its PostgreSQL. */
  composePort: number;
}

export interface ServiceRow {
  /** Folder under services/, and the service's name on the bus. */
  name: string;
  httpPort: number;
  database: ServiceDatabase | null;
  /** Streams it consumes ... */
  reads: readonly string[];
  /** ... and those it publishes to. */
  writes: readonly string[];
  summary: string;
  /** Whether several copies of it may run behind one port. */
  manyCopies?: true;
  /**
   * What its process may do beyond what every service may: its own port, the bus, its database, its packages
   * (scripts/permissions.ts).
   */
  permissions?: readonly string[];
}

export const SERVICES: readonly ServiceRow[] = [
  {
    name: "data-ingestion",
    httpPort: 8001,
    database: { name: "ingestion", composePort: 5433 },
    reads: ["EVENTS"],
    writes: ["INGESTED", "REPLAY"],
    summary: "takes events, products and logs; validates, deduplicates, keeps and hands on",
    // Parquet files lie there while they are read.
    permissions: ["read=.microml/spool", "write=.microml/spool"],
  },
  {
    name: "data-preprocessing",
    httpPort: 8002,
    database: { name: "preprocessing", composePort: 5434 },
    reads: ["INGESTED", "REPLAY"],
    writes: ["CLEAN", "SIGNALS"],
    summary: "cleans by declared steps and expectations; quarantine",
  },
  {
    name: "feature-store",
    httpPort: 8003,
    database: { name: "features", composePort: 5435 },
    reads: ["CLEAN"],
    writes: ["LABELS", "SIGNALS"],
    summary: "windowed features, online and point-in-time; training sets",
    // The modules of its threads are read when a thread starts.
    permissions: ["read=shared"],
  },
  {
    name: "model-training",
    httpPort: 8004,
    database: { name: "training", composePort: 5436 },
    reads: [],
    writes: ["MODELS"],
    summary: "trainers, evaluation, ONNX export, registry, gate",
    // The modules of its threads are read when a thread starts.
    permissions: ["read=shared"],
  },
  {
    name: "model-serving",
    httpPort: 8000,
    database: { name: "serving", composePort: 5437 },
    reads: [],
    writes: ["PREDICTIONS"],
    summary: "ONNX by WASM behind Hono; feature lookup; prediction log",
    manyCopies: true,
    // The modules of its thread are read when the thread starts.
    permissions: ["read=shared"],
  },
  {
    name: "model-monitoring",
    httpPort: 8005,
    database: { name: "monitoring", composePort: 5438 },
    reads: ["PREDICTIONS", "MODELS"],
    writes: ["SIGNALS"],
    summary: "prediction log, drift against the training reference",
  },
  {
    name: "alert",
    httpPort: 8006,
    database: { name: "alerts", composePort: 5439 },
    reads: ["SIGNALS"],
    writes: ["ALERTS"],
    summary: "rules that turn signals into alerts, and end them",
  },
  {
    name: "orchestration",
    httpPort: 8007,
    database: { name: "orchestration", composePort: 5440 },
    reads: ["ALERTS"],
    writes: [],
    summary: "durable pipelines: train, compare, promote, confirm",
    // DBOS reads settings of its own.
    permissions: ["env=DBOS_*,PG*"],
  },
  {
    name: "console",
    httpPort: 8080,
    database: null,
    reads: [],
    writes: [],
    summary: "the web page, and the gateway to the others",
    permissions: ["net=services"],
  },
];
