/** Running one replay, from where it stands to its end. @module */
import type { ClockKind } from "shared/contracts/data_ingestion.ts";
import { HEADER } from "shared/contracts/envelope.ts";
import { subject } from "shared/contracts/streams.ts";
import { toInstant } from "shared/contracts/time.ts";
import { encodeBatches } from "shared/bus/batch.ts";
import type { Bus } from "shared/bus/connection.ts";
import type { CrashPoint } from "shared/bus/crash.ts";
import { publishAll } from "shared/bus/publisher.ts";
import type { Database } from "shared/db/connection.ts";
import { delay } from "shared/delay.ts";
import { messageOf } from "shared/errors.ts";
import type { Expression } from "shared/expressions/cel.ts";
import { isInfrastructureError } from "shared/infrastructure_error.ts";
import type { Logger } from "shared/log.ts";
import { Pacing } from "./domain/replay_pacing.ts";
import { compileFilter, matchesFilter } from "./domain/replay_filter.ts";
import { type ReplayPiece, replayPieces, type ReplayPosition } from "./domain/replay_pieces.ts";
import { toPlatformEvent } from "./ingested_messages.ts";
import { countUntaken } from "./replay_consumers.ts";
import { readReplayedEvents, type ReplayedEvent } from "./repository/replayed_events.ts";
import { advanceReplay, type ClaimedReplay, renewReplay, type ReplayLease } from "./repository/replays.ts";

export interface ReplayRunDeps {
  db: Database;
  /** A pool of one connection whose session is kept, for a replay alone, which ends it. */
  openSession(): Database;
  bus: Bus;
  log: Logger;
  clockKind(project: string): Promise<ClockKind>;
  /** For tests. Default: that of the bus. */
  crashPoint?: CrashPoint;
}

export interface ReplayRunOptions {
  lease: ReplayLease;
  /** Ends the run where it is. */
  signal: AbortSignal;
}

/** Messages on REPLAY that nobody has taken yet: with more of them a replay waits, and leaves the stream to others. */
const MAX_UNTAKEN = 256;
/** How many are published before they are counted again. */
const COUNT_EVERY = 32;
/** Before what is away, full or behind is looked at again. */
const RETRY_MS = 250;
/** A timer for more than 24 days ends at once. */
const MAX_DELAY_MS = 3_600_000;
const SESSION_END_SECONDS = 1;

/**
 * Publishes what is left of a replay.
 *
 * Each piece is published, then written down as done: whoever dies between the two publishes it again, as the same
 * messages under the same ids. What is away, full or behind is waited for, and the replay's `reason` says so.
 *
 * @returns whether all of it is done: not when the signal was aborted, or the claim is gone
 * @throws what no waiting helps against
 */
export async function runReplay(
  deps: ReplayRunDeps,
  replay: ClaimedReplay,
  options: ReplayRunOptions,
): Promise<boolean> {
  return await new ReplayRun(deps, replay, options).run();
}

class ReplayRun {
  readonly #deps: ReplayRunDeps;
  readonly #replay: ClaimedReplay;
  readonly #lease: ReplayLease;
  /** Aborted from outside, or when the claim is gone. */
  readonly #signal: AbortSignal;
  readonly #claimGone = new AbortController();
  readonly #filter: Expression | undefined;
  readonly #target: string;
  /** The last record that is done with. */
  #position: ReplayPosition | null;
  #waitsFor: string | null = null;
  /** Messages that may be published before those that nobody has taken are counted. */
  #allowance = 0;

  constructor(deps: ReplayRunDeps, replay: ClaimedReplay, { lease, signal }: ReplayRunOptions) {
    this.#deps = deps;
    this.#replay = replay;
    this.#lease = lease;
    this.#signal = AbortSignal.any([signal, this.#claimGone.signal]);
    this.#filter = replay.where === null ? undefined : compileFilter(replay.where);
    this.#target = subject.replay(replay.run, replay.source);
    this.#position = replay.position;
  }

  async run(): Promise<boolean> {
    const renewals = setInterval(() => void this.#renew(), this.#lease.leaseMs / 3);
    try {
      while (!this.#signal.aborted) {
        if (await this.#orWait(() => this.#publishRest())) return !this.#signal.aborted;
      }
      return false;
    } finally {
      clearInterval(renewals);
    }
  }

  async #publishRest(): Promise<void> {
    const { source, from, until, startedAt, rate, pace } = this.#replay;
    const { bus, crashPoint = bus.crashPoint } = this.#deps;
    const session = this.#deps.openSession();
    try {
      const span = { source, from, until, arrivedBefore: startedAt, after: this.#position };
      const pages = readReplayedEvents(session, span, { signal: this.#signal });
      const matches = (event: ReplayedEvent) => matchesFilter(this.#filter, event.data);
      const pacing = new Pacing({ rate, pace });
      for await (const piece of replayPieces(pages, { matches, rate, pace })) {
        if (!await this.#turnOf(piece, pacing)) return;
        if (!await this.#publish(piece.records)) return;
        crashPoint?.("published");
        if (!await this.#advance(piece)) return;
      }
    } finally {
      await session.end({ timeout: SESSION_END_SECONDS });
    }
  }

  /** Waits until the piece may go. @returns whether it may: not when the run is to end */
  async #turnOf({ records }: ReplayPiece<ReplayedEvent>, pacing: Pacing): Promise<boolean> {
    const last = records.at(-1);
    if (last === undefined) return !this.#signal.aborted;
    const now = performance.now();
    const dueMs = pacing.dueMs({ records: records.length, lastMs: Date.parse(last.time) }, now);
    for (let left = dueMs - now; left > 0 && !this.#signal.aborted; left = dueMs - performance.now()) {
      await delay(Math.min(left, MAX_DELAY_MS), this.#signal);
    }
    return !this.#signal.aborted;
  }

  /** @returns whether all of it is published: not when the run is to end */
  async #publish(records: readonly ReplayedEvent[]): Promise<boolean> {
    if (records.length === 0) return true;
    const { project, run, to } = this.#replay;
    const { bus, clockKind } = this.#deps;
    const clock = await clockKind(project) === "event" ? records.at(-1)!.time : toInstant(Date.now());
    const messages = encodeBatches(records.map(toPlatformEvent), {
      subject: this.#target,
      headers: {
        [HEADER.project]: project,
        [HEADER.clock]: clock,
        [HEADER.run]: run,
        [HEADER.replayTo]: to,
      },
    });
    // Again here and not from the start: what is left would have to be sorted once more.
    while (!this.#signal.aborted) {
      const isPublished = await this.#orWait(async () => {
        await this.#roomFor(messages.length);
        this.#signal.throwIfAborted();
        await publishAll(bus, messages, { signal: this.#signal });
      });
      if (isPublished) return true;
    }
    return false;
  }

  /** Waits while too much of the replay stands on the stream. */
  async #roomFor(messages: number): Promise<void> {
    while (this.#allowance < messages && !this.#signal.aborted) {
      const untaken = await countUntaken(this.#deps.bus, this.#target);
      if (untaken < MAX_UNTAKEN) this.#allowance = Math.max(messages, COUNT_EVERY);
      else await this.#wait(`${untaken} messages on ${this.#target} are not taken yet`);
    }
    this.#allowance -= messages;
  }

  async #advance({ records, read, position }: ReplayPiece<ReplayedEvent>): Promise<boolean> {
    const progress = { read, published: records.length, position };
    if (!await advanceReplay(this.#deps.db, this.#lease, progress)) {
      this.#claimGone.abort();
      return false;
    }
    this.#position = position;
    this.#waitsFor = null;
    return true;
  }

  /** @returns whether the work was done; if not, it is to be tried again, unless the run is to end */
  async #orWait(work: () => Promise<void>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (error) {
      if (this.#signal.aborted) return false;
      if (!isInfrastructureError(error)) throw error;
      await this.#wait(messageOf(error));
      return false;
    }
  }

  async #wait(reason: string): Promise<void> {
    const waitsFor = `waits: ${reason}`;
    if (this.#waitsFor === null) {
      const { run, source } = this.#replay;
      this.#deps.log.info({ run, source }, `A replay ${waitsFor}`);
      this.#waitsFor = waitsFor;
      await this.#renew();
    }
    this.#waitsFor = waitsFor;
    await delay(RETRY_MS, this.#signal);
  }

  async #renew(): Promise<void> {
    try {
      if (!await renewReplay(this.#deps.db, this.#lease, this.#waitsFor)) this.#claimGone.abort();
    } catch (error) {
      // The claim stands for as long as nobody else takes it, which `advance` tells.
      this.#deps.log.warn(
        { run: this.#replay.run, reason: messageOf(error) },
        "Cannot renew the claim on a replay",
      );
    }
  }
}
