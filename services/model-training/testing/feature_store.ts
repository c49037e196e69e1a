/** A feature store for the tests: answers on the bus as the real one does, with training sets that the test makes. @module */
import { v7 as uuidv7 } from "uuid";
import type { Bus } from "shared/bus/connection.ts";
import { serveEndpoints } from "shared/bus/endpoints.ts";
import { bind, type RequestOf } from "shared/contracts/endpoint.ts";
import { buildTrainingSet, getTrainingSet, type TrainingSetStatus } from "shared/contracts/feature_store.ts";
import { toInstant } from "shared/contracts/time.ts";
import { silentLogger } from "shared/log.ts";
import { writeTrainingSet } from "shared/training_set_file.ts";
import type { TrainingSetTable } from "shared/training_set_table.ts";

const CLOCK = toInstant(Date.UTC(2026, 11, 31));

export interface AskedTrainingSet {
  id: string;
  key: string | undefined;
  request: RequestOf<typeof buildTrainingSet>;
}

export interface TestFeatureStore extends AsyncDisposable {
  /** What was asked for, each key once. */
  readonly asked: AskedTrainingSet[];
  /** What the training sets from now on hold. */
  table: TrainingSetTable;
  /** What the manifests from now on tell of the event times behind the features. */
  leads: Record<string, number | null>;
  /** While true, training sets stay unfinished. */
  holds: boolean;
  /** When set, training sets fail for this reason. */
  failure: string | undefined;
}

export async function startTestFeatureStore(bus: Bus, table: TrainingSetTable): Promise<TestFeatureStore> {
  const asked: AskedTrainingSet[] = [];
  const made = new Map<string, TrainingSetStatus>();
  const server = await serveEndpoints(bus, {
    service: "feature-store",
    version: "0.0.0",
    log: silentLogger,
    endpoints: [
      bind(buildTrainingSet, (request, { idempotencyKey: key }) => {
        const known = asked.find((earlier) => earlier.key === key);
        const id = known?.id ?? uuidv7();
        if (known === undefined) asked.push({ id, key, request });
        return Promise.resolve({ id });
      }),
      bind(getTrainingSet, async ({ id }) => {
        const { request } = asked.find((known) => known.id === id)!;
        const unfinished = {
          id,
          project: request.project,
          progress: 0.5,
          error: null,
          createdAt: CLOCK,
          finishedAt: null,
          result: null,
        };
        if (store.holds) return { ...unfinished, status: "running" as const };
        if (store.failure !== undefined) {
          return { ...unfinished, status: "failed" as const, error: store.failure };
        }
        const status = made.get(id) ??
          await make(bus, { id, request, table: store.table, leads: store.leads });
        made.set(id, status);
        return status;
      }),
    ],
  });
  const store: TestFeatureStore = {
    asked,
    table,
    leads: {},
    holds: false,
    failure: undefined,
    [Symbol.asyncDispose]: async () => await server[Symbol.asyncDispose](),
  };
  return store;
}

async function make(
  bus: Bus,
  { id, request, table, leads }: {
    id: string;
    request: RequestOf<typeof buildTrainingSet>;
    table: TrainingSetTable;
    leads: TestFeatureStore["leads"];
  },
): Promise<TrainingSetStatus> {
  const file = await writeTrainingSet(table);
  const sha256 = await bus.files.put(file);
  const rows = table.entities.length;
  const instant = (time: number | undefined) => time === undefined ? null : toInstant(time);
  return {
    id,
    project: request.project,
    status: "done",
    progress: 1,
    error: null,
    createdAt: CLOCK,
    finishedAt: CLOCK,
    result: {
      sha256,
      bytes: file.length,
      rows,
      immature: table.labels.filter(Number.isNaN).length,
      dropped: 0,
      manifest: {
        featureService: { name: request.featureService.name, version: 7 },
        views: [{ name: "orders", version: 3 }],
        features: table.features.map(({ name }) => name),
        leads,
        from: instant(table.times[0]),
        to: instant(table.times.at(-1)),
        clock: CLOCK,
        asKnown: "then",
        sources: {
          user_events: { records: rows, from: instant(table.times[0]), to: instant(table.times.at(-1)) },
        },
        position: rows,
      },
    },
  };
}
