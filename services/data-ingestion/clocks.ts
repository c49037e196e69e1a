/** Keeps the bucket of project clocks up to date with the database. @module */
import { type KV, Kvm } from "@nats-io/kv";
import { type ClockKind, type ProjectClock, projectClockSchema } from "shared/contracts/data_ingestion.ts";
import { BUCKET } from "shared/contracts/streams.ts";
import { toInstant } from "shared/contracts/time.ts";
import { messageOf } from "shared/errors.ts";
import type { Bus } from "shared/bus/connection.ts";
import type { Database } from "shared/db/connection.ts";
import { isInfrastructureError } from "shared/infrastructure_error.ts";
import type { Part } from "shared/lifecycle.ts";
import type { Logger } from "shared/log.ts";
import { readClocks } from "./repository/clocks.ts";

export interface ClockPublisherDeps {
  db: Database;
  bus: Bus;
  log: Logger;
  clockKind(project: string): Promise<ClockKind>;
  /** The projects whose clocks are looked at when the service starts: a crash may have kept one back. */
  projects(): readonly string[];
}

export interface ClockPublisher extends Part {
  /** Says that these clocks may have changed. Many calls within a moment lead to one put. */
  poke(projects: readonly string[]): void;
}

/** Clocks move with every batch, and nobody needs to know more often. */
const COALESCE_MS = 200;
const RETRY_MS = 1_000;

/**
 * Puts the clocks of projects into the bucket, soon after they moved. Several copies may do so at once: what
 * stands there in the end is what stands in the database.
 */
export function createClockPublisher(deps: ClockPublisherDeps): ClockPublisher {
  return new CoalescingClockPublisher(deps);
}

class CoalescingClockPublisher implements ClockPublisher {
  readonly name = "clock publisher";
  readonly #deps: ClockPublisherDeps;
  readonly #waiting = new Set<string>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #flushing: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(deps: ClockPublisherDeps) {
    this.#deps = deps;
  }

  start(): Promise<void> {
    this.poke(this.#deps.projects());
    return Promise.resolve();
  }

  poke(projects: readonly string[]): void {
    for (const project of projects) this.#waiting.add(project);
    this.#schedule(COALESCE_MS);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#flushing;
    await this.#flush();
  }

  #schedule(delayMs: number): void {
    if (this.#timer !== undefined || this.#stopped || this.#waiting.size === 0) return;
    this.#timer = setTimeout(() => {
      this.#flushing = this.#flush().finally(() => this.#timer = undefined).then((ok) =>
        this.#schedule(ok ? COALESCE_MS : RETRY_MS)
      );
    }, delayMs);
  }

  /** @returns whether it went well; if not, what failed waits again */
  async #flush(): Promise<boolean> {
    const projects = [...this.#waiting];
    this.#waiting.clear();
    if (projects.length === 0 || this.#deps.bus.nc.isClosed()) return true;
    try {
      const kv = await new Kvm(this.#deps.bus.js).open(BUCKET.clocks);
      for (const project of projects) await putClock(kv, project, this.#deps);
      return true;
    } catch (error) {
      for (const project of projects) this.#waiting.add(project);
      const level = isInfrastructureError(error) ? "warn" : "error";
      this.#deps.log[level]({ err: error }, `Cannot publish the clocks of projects: ${messageOf(error)}`);
      return false;
    }
  }
}

const decoder = new TextDecoder();
const MAX_ATTEMPTS = 10;

async function putClock(
  kv: KV,
  project: string,
  { db, clockKind }: Pick<ClockPublisherDeps, "db" | "clockKind">,
): Promise<void> {
  for (let attempt = 1;; attempt++) {
    const entry = await kv.get(project);
    const standing = entry?.operation === "PUT"
      ? projectClockSchema.parse(JSON.parse(decoder.decode(entry.value)))
      : undefined;
    // Read after the entry that it replaces: whoever puts something newer meanwhile makes this put fail.
    const kind = await clockKind(project);
    const newest = (await readClocks(db, [project])).get(project);
    if (kind === "event" && newest === undefined) {
      // No event yet, so no time of its own: an entry from before must not stand.
      if (standing !== undefined) await kv.delete(project);
      return;
    }
    if (standing?.kind === kind && (kind === "wall" || standing.now === newest)) return;
    const now = kind === "event" && newest !== undefined ? newest : toInstant(Date.now());
    const clock: ProjectClock = { project, kind, now };
    try {
      await kv.put(project, JSON.stringify(clock), { previousSeq: entry?.revision ?? 0 });
      return;
    } catch (error) {
      if (isInfrastructureError(error) || attempt === MAX_ATTEMPTS) throw error;
      // Another copy was faster: what it has put is looked at again.
    }
  }
}
