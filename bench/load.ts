/**
 * `load`: what memory the services take while a million events of a file come in: flat, if they take it in pieces.
 *
 * @module
 */
import { join } from "node:path";
import { call } from "shared/bus/endpoints.ts";
import * as preprocessing from "shared/contracts/data_preprocessing.ts";
import { delay } from "shared/delay.ts";
import { memoryOf } from "../scripts/memory.ts";
import { startBenchStack } from "./bench_stack.ts";
import { type Bench, type BenchOptions, type BenchResult, median } from "./harness.ts";
import { Intake, order } from "./ingest.ts";

const EVENTS = 1_000_000;
const SERVICES = ["data-ingestion", "data-preprocessing"] as const;
const SAMPLE_EVERY_MS = 250;
const MiB = 1024 * 1024;

export const load: Bench = {
  name: "load",
  summary: "memory of the services while a million events come in from a file by deno task ml load",
  run,
};

interface Sample {
  /** Events cleaned by then. */
  clean: number;
  /** MiB by service. */
  memory: Record<string, number>;
}

async function run({ scale, say }: BenchOptions): Promise<BenchResult> {
  await using bench = await startBenchStack(SERVICES, { say, smallHeap: true });
  const { bus, stack, folder } = bench;
  const events = Math.max(1_000, Math.round(EVENTS * scale));
  await new Intake(bench, bench.database("data-ingestion"), events).declare();
  const file = join(folder, "orders.ndjson");
  await writeOrders(file, events);

  say(`loading ${events} events`);
  const startedAt = performance.now();
  const loading = loadFile(file, { url: stack.services.get("data-ingestion")!.url, natsUrl: stack.natsUrl });
  const samples: Sample[] = [];
  for (let clean = 0; clean < events;) {
    await delay(SAMPLE_EVERY_MS);
    const { sources } = await call(bus, preprocessing.counts, { source: "orders" });
    clean = sources[0]?.clean ?? 0;
    const memory: Record<string, number> = {};
    for (const name of SERVICES) {
      memory[name] = (await memoryOf(stack.services.get(name)!.pid!)).bytes / MiB;
    }
    samples.push({ clean, memory });
  }
  const seconds = (performance.now() - startedAt) / 1_000;
  await loading;

  const figures: Record<string, number> = { events, seconds, events_per_second: events / seconds };
  const ratios: Record<string, number> = {};
  for (const name of SERVICES) {
    const within = (from: number, to: number) => {
      const part = samples.filter(({ clean }) => clean >= events * from && clean <= events * to);
      return median((part.length > 0 ? part : samples).map(({ memory }) => memory[name]!));
    };
    const [second, last] = [within(0.1, 0.2), within(0.9, 1)];
    figures[`${name}_second_tenth_mib`] = second;
    figures[`${name}_last_tenth_mib`] = last;
    figures[`${name}_peak_mib`] = Math.max(...samples.map(({ memory }) => memory[name]!));
    ratios[`${name.replace("-", "_")}_memory_second_tenth`] = second / last;
  }
  return {
    ratios,
    figures,
    notes: [
      "a tenth is one of the events, by those that are clean; memory is the proportional set size, medians",
      ...await bench.describe(),
    ],
  };
}

async function writeOrders(file: string, events: number): Promise<void> {
  const encoder = new TextEncoder();
  using out = await Deno.open(file, { write: true, create: true });
  for (let first = 0; first < events; first += 10_000) {
    const count = Math.min(10_000, events - first);
    const bytes = encoder.encode(Array.from({ length: count }, (_, n) => `${order(first + n)}\n`).join(""));
    for (let written = 0; written < bytes.length;) written += await out.write(bytes.subarray(written));
  }
}

async function loadFile(file: string, { url, natsUrl }: { url: string; natsUrl: string }): Promise<void> {
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "scripts/ml/main.ts", "load", file, "--source", "orders", "--url", url],
    env: { NATS_URL: natsUrl },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).output();
  if (!success) throw new Error(`Cannot load ${file}: ${new TextDecoder().decode(stderr)}`);
}
