/**
 * `training-set`: 17,000 rows of 1,000 features as they stood at each row's T, beside Feast's
 * `get_historical_features` over the same history in its file store. `training-set-long`: as many values in ten times as
 * many rows, so that what a row costs besides its values shows.
 *
 * @module
 */
import { parquetWriteBuffer } from "hyparquet-writer";
import { encodeBatches } from "shared/bus/batch.ts";
import { call } from "shared/bus/endpoints.ts";
import { publishAll } from "shared/bus/publisher.ts";
import type { PlatformEvent } from "shared/contracts/envelope.ts";
import * as contract from "shared/contracts/feature_store.ts";
import { subject } from "shared/contracts/streams.ts";
import { toInstant } from "shared/contracts/time.ts";
import { delay } from "shared/delay.ts";
import { readTrainingSet } from "shared/training_set_file.ts";
import { type BenchStack, startBenchStack } from "./bench_stack.ts";
import { type Bench, type BenchOptions, type BenchResult, inTurn } from "./harness.ts";
import { findPeer, peerMissing, runForJson } from "./peers/peer.ts";

const SERVICE = "feature-store";
const PEER = "feast";
const WEEKS = 10;
const DAY_MS = 86_400_000;
const FROM_MS = Date.UTC(2024, 0, 1);
const POLL_MS = 20;
const MiB = 1024 * 1024;

interface Shape {
  views: number;
  featuresAView: number;
  /** Each with a record a week in every source, and a row three days after each record. */
  customers: number;
}

export const trainingSet: Bench = {
  name: "training-set",
  summary: "17,000 rows x 1,000 features point in time, beside Feast's get_historical_features",
  run: (options) => run({ views: 25, featuresAView: 40, customers: 1_700 }, options),
};

export const longTrainingSet: Bench = {
  name: "training-set-long",
  summary: "170,000 rows x 100 features point in time, beside the same",
  run: (options) => run({ views: 5, featuresAView: 20, customers: 17_000 }, options),
};

async function run(full: Shape, { rounds, scale, say }: BenchOptions): Promise<BenchResult> {
  await using bench = await startBenchStack([SERVICE], { say });
  const shape = { ...full, customers: Math.max(20, Math.round(full.customers * scale)) };
  const { views, featuresAView, customers } = shape;
  await declare(bench, shape);
  say("publishing the history");
  for (let view = 0; view < views; view++) await publishView(bench, view, shape);
  await applied(bench, customers * WEEKS * views);

  const file = await bench.bus.files.put(spineFile(customers));
  let sum = 0;
  const { microml } = await inTurn({
    microml: async () => {
      // A new process, whose peak is that of the training set.
      await bench.stack.restart(SERVICE);
      const startedAt = performance.now();
      const sha256 = await build(bench, file);
      const seconds = (performance.now() - startedAt) / 1_000;
      const peak_mb = await peakMiB(bench.stack.services.get(SERVICE)!.pid!);
      sum = await sumOf(bench, sha256);
      return { seconds, peak_mb };
    },
  }, { rounds, say });
  const figures = {
    rows: customers * WEEKS,
    features: views * featuresAView,
    microml_seconds: microml!["seconds"]!,
    microml_peak_mb: microml!["peak_mb"]!,
  };
  const notes = [
    "from the request to the file in the object store; memory of the feature-store's process, without PostgreSQL",
    ...await bench.describe(),
  ];
  const python = findPeer(PEER);
  if (python === undefined) return { ratios: {}, figures, notes: [...notes, peerMissing(PEER)] };

  say("feast joins the same rows, once: it takes minutes");
  await writeFiles(bench.folder, shape);
  const script = new URL("peers/feast_training_set.py", import.meta.url).pathname;
  const feast = await runForJson(python, [script, bench.folder, String(featuresAView)]);
  if (feast["rows"] !== figures.rows || Math.abs(feast["sum"]! - sum) > 1e-9 * Math.abs(sum)) {
    throw new Error(
      `Feast gives ${feast["rows"]} rows that sum to ${feast["sum"]}, and we ${figures.rows}, ${sum}`,
    );
  }
  return {
    ratios: {
      feast_time: feast["seconds"]! / figures.microml_seconds,
      feast_memory: feast["peak_mb"]! / figures.microml_peak_mb,
    },
    figures: { ...figures, feast_seconds: feast["seconds"]!, feast_peak_mb: feast["peak_mb"]! },
    notes: [...notes, "Feast 0.67, its default file store, measured once; both give the same values"],
  };
}

const viewName = (view: number) => `view_${String(view).padStart(2, "0")}`;
const timeOf = (week: number) => FROM_MS + week * 7 * DAY_MS;
/** Whole cents: sums are the same in any order up to the last bits. */
const valueOf = (view: number, feature: number, row: number) =>
  ((view * 7_919 + feature * 104_729 + row * 15_485_863) % 1_000_003) / 100;

async function declare({ bus }: BenchStack, { views, featuresAView }: Shape): Promise<void> {
  const project = "bench";
  await call(bus, contract.putEntity, {
    project,
    name: "customer",
    body: { keys: { customer_id: "integer" } },
  });
  const features = Array.from({ length: featuresAView }, (_, feature) => `f${feature}`);
  for (let view = 0; view < views; view++) {
    const name = viewName(view);
    const body = {
      entity: "customer",
      source: name,
      features: Object.fromEntries(
        features.map((field) => [field, { aggregate: "last" as const, field, window: null }]),
      ),
    };
    await call(bus, contract.putView, { project, name, body });
  }
  const all = Array.from({ length: views }, (_, view) => features.map((one) => `${viewName(view)}.${one}`));
  await call(bus, contract.putFeatureService, { project, name: "all", body: { features: all.flat() } });
}

async function publishView(
  { bus }: BenchStack,
  view: number,
  { customers, featuresAView }: Shape,
): Promise<void> {
  const source = viewName(view);
  const events = Array.from({ length: customers * WEEKS }, (_, row): PlatformEvent => {
    const time = toInstant(timeOf(row % WEEKS));
    const data: Record<string, number> = { customer_id: Math.floor(row / WEEKS) };
    for (let feature = 0; feature < featuresAView; feature++) {
      data[`f${feature}`] = valueOf(view, feature, row);
    }
    return {
      specversion: "1.0",
      id: String(row),
      source,
      type: "microml.clean.v1",
      time,
      knownat: time,
      definition: 0,
      data,
    };
  });
  await publishAll(bus, encodeBatches(events, { subject: subject.clean(source) }));
}

async function applied({ bus }: BenchStack, records: number): Promise<void> {
  for (;;) {
    const { sources } = await call(bus, contract.counts, {});
    if (sources.reduce((sum, source) => sum + source.records, 0) >= records) return;
    await delay(POLL_MS * 10);
  }
}

function spineColumns(customers: number) {
  const rows = Array.from({ length: customers * WEEKS }, (_, row) => row);
  return {
    columnData: [
      {
        name: "customer_id",
        data: rows.map((row) => BigInt(Math.floor(row / WEEKS))),
        type: "INT64" as const,
      },
      {
        name: "t",
        data: rows.map((row) => new Date(timeOf(row % WEEKS) + 3 * DAY_MS)),
        type: "TIMESTAMP" as const,
      },
    ],
  };
}

const spineFile = (customers: number) => new Uint8Array(parquetWriteBuffer(spineColumns(customers)));

async function build({ bus }: BenchStack, file: string): Promise<string> {
  const { id } = await call(bus, contract.buildTrainingSet, {
    project: "bench",
    entity: "customer",
    featureService: { name: "all" },
    spine: { file, format: "parquet" },
  });
  for (;;) {
    const { error, result } = await call(bus, contract.getTrainingSet, { id });
    if (error !== null) throw new Error(error);
    if (result !== null) return result.sha256;
    await delay(POLL_MS);
  }
}

async function sumOf({ bus }: BenchStack, sha256: string): Promise<number> {
  const { features } = await readTrainingSet(await bus.files.get(sha256));
  return features.reduce((sum, { values }) => sum + values.reduce((all, value) => all + value, 0), 0);
}

/** The most that a process has held, by Linux. */
async function peakMiB(pid: number): Promise<number> {
  const status = await Deno.readTextFile(`/proc/${pid}/status`);
  return Number(/VmHWM:\s+(\d+) kB/.exec(status)![1]) * 1024 / MiB;
}

/** The same history and spine as the files that Feast reads. */
async function writeFiles(folder: string, { views, featuresAView, customers }: Shape): Promise<void> {
  await Deno.writeFile(`${folder}/spine.parquet`, spineFile(customers));
  const rows = Array.from({ length: customers * WEEKS }, (_, row) => row);
  for (let view = 0; view < views; view++) {
    const columns = Array.from({ length: featuresAView }, (_, feature) => ({
      name: `f${feature}`,
      data: Float64Array.from(rows, (row) => valueOf(view, feature, row)),
      type: "DOUBLE" as const,
    }));
    const file = parquetWriteBuffer({
      columnData: [
        { name: "customer_id", data: rows.map((row) => BigInt(Math.floor(row / WEEKS))), type: "INT64" },
        { name: "at", data: rows.map((row) => new Date(timeOf(row % WEEKS))), type: "TIMESTAMP" },
        ...columns,
      ],
    });
    await Deno.writeFile(`${folder}/${viewName(view)}.parquet`, new Uint8Array(file));
  }
}
