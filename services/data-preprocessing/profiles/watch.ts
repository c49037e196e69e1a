/** The background of profiles: parts are merged, clocks move on, and what is over is judged. @module */
import { floorToTick, type Instant, toInstant } from "shared/contracts/time.ts";
import type { Progress } from "shared/bus/consumer.ts";
import type { ProjectClocks } from "shared/bus/project_clocks.ts";
import { type Database, type Transaction, transaction } from "shared/db/connection.ts";
import type { Part } from "shared/lifecycle.ts";
import type { Logger } from "shared/log.ts";
import { createPeriodicPart } from "shared/periodic_part.ts";
import { listBlocks } from "../repository/blocks.ts";
import { type Concern, listConcerns } from "../repository/concerns.ts";
import {
  endSeries,
  forgetOldWindows,
  listProfiledSources,
  lockProfiles,
  type ProfiledSource,
} from "../repository/profiles.ts";
import { type Freshness, judgeFreshness, needsFreshness } from "./judge_freshness.ts";
import { judgeWindows } from "./judge_windows.ts";
import type { Block, JudgedSource } from "./judged_source.ts";
import { mergeParts } from "./merge.ts";
import { type Seen, SeenTime } from "./seen_time.ts";
import { SettledClocks } from "./settled_clock.ts";

export interface ProfileWatchDeps {
  db: Database;
  log: Logger;
  clocks: Pick<ProjectClocks, "get">;
  /** How far the intake has come. */
  progress(): Promise<Progress>;
  /** What the windows of a source are held against now. */
  judgedSource(source: string, project: string): Promise<JudgedSource>;
  block: Block;
  /** Told when messages stand in the outbox. */
  pokeOutbox(): void;
  /** How long after a clock passed the end of a window it is judged: its last records may still be on their way. */
  settleMs: number;
  /** Windows that nothing changed for so long are forgotten. */
  keepDays: number;
  /** Between two looks. Default: a second. */
  everyMs?: number;
}

const FORGET_EVERY_MS = 3_600_000;

/** Any number of copies may run it: they take turns, a transaction at a time. */
export function createProfileWatch(deps: ProfileWatchDeps): Part {
  const watch = new ProfileWatch(deps);
  return createPeriodicPart({
    name: "profiles",
    action: "look after the profiles",
    everyMs: deps.everyMs ?? 1_000,
    log: deps.log,
    work: (signal) => watch.look(signal),
  });
}

class ProfileWatch {
  readonly #deps: ProfileWatchDeps;
  readonly #clocks: SettledClocks;
  readonly #seenTime = new SeenTime();
  /** When a source was last seen to be held. */
  readonly #heldAt = new Map<string, number>();
  #forgotAt = 0;

  constructor(deps: ProfileWatchDeps) {
    this.#deps = deps;
    this.#clocks = new SettledClocks(deps.settleMs);
  }

  async look(signal: AbortSignal): Promise<void> {
    const { db, progress, keepDays } = this.#deps;
    const startedMs = Date.now();
    // Asked first: what is merged then holds all that had been cleaned by now.
    const seen = this.#seenTime.look(await progress(), startedMs);
    if (!await mergeParts(db, signal)) return;
    const nowMs = Date.now();
    const held = new Set((await listBlocks(db)).map(({ source }) => source));
    for (const source of held) this.#heldAt.set(source, nowMs);
    const concerns = Map.groupBy(await listConcerns(db), ({ source }) => source);
    for (const row of await listProfiledSources(db)) {
      if (signal.aborted) return;
      const now = this.#nowOf(row, { seen, nowMs });
      if (now === undefined || row.project === null || this.#isHeld(row.source, nowMs)) continue;
      const judged = await this.#deps.judgedSource(row.source, row.project);
      await this.#judge(row, judged, { now, concerns: concerns.get(row.source) ?? [], signal });
    }
    if (nowMs - this.#forgotAt < FORGET_EVERY_MS) return;
    this.#forgotAt = nowMs;
    await forgetOldWindows(db, keepDays);
  }

  /** What was held of a source must be on its way before its windows can be judged. */
  #isHeld(source: string, nowMs: number): boolean {
    const heldAt = this.#heldAt.get(source);
    if (heldAt === undefined) return false;
    if (heldAt === nowMs || nowMs - heldAt < this.#deps.settleMs) return true;
    this.#heldAt.delete(source);
    return false;
  }

  /**
   * The clock of a source's project. While the service lags behind, what the clock was when that was published which
   * has been seen: the wall's at that time, or the one that came with the batches.
   */
  #nowOf(
    { project, clock }: ProfiledSource,
    { seen, nowMs }: { seen: Seen; nowMs: number },
  ): Instant | undefined {
    if (project === null) return undefined;
    const newest = [clock, this.#toldClock(project, seen)].reduce((a, b) => (a ?? "") > (b ?? "") ? a : b);
    return newest === null ? undefined : this.#clocks.settle(project, newest, nowMs);
  }

  #toldClock(project: string, { untilMs, isAll }: Seen): Instant | null {
    const told = this.#deps.clocks.get(project);
    if (told?.kind === "wall") return untilMs === undefined ? null : toInstant(untilMs);
    return isAll ? told?.now ?? null : null;
  }

  async #judge(
    { source, series, newestAt }: ProfiledSource,
    judged: JudgedSource,
    { now, concerns, signal }: { now: Instant; concerns: readonly Concern[]; signal: AbortSignal },
  ): Promise<void> {
    const { block } = this.#deps;
    const wanted = new Set(judged.rules.lengths.map(({ ms }) => ms));
    for (const { windowMs, judgedUntil } of series) {
      if (!wanted.has(windowMs)) {
        await this.#locked((tx) => endSeries(tx, source, windowMs));
      } else if (Date.parse(judgedUntil) < floorToTick(Date.parse(now), windowMs)) {
        const judgeSome = (tx: Transaction) => judgeWindows(tx, judged, { windowMs, now, block });
        while (await this.#locked(judgeSome) === true) {
          if (signal.aborted) return;
        }
      }
    }
    const freshness: Freshness = { newestAt, now };
    if (!needsFreshness(judged, freshness, concerns)) return;
    await this.#locked((tx) => judgeFreshness(tx, judged, { freshness, block }));
  }

  /** @returns `undefined` also when another copy is at work: it does the same */
  async #locked<T>(work: (tx: Transaction) => Promise<T>): Promise<T | undefined> {
    const { db, pokeOutbox } = this.#deps;
    const result = await transaction(db, async (tx) => await lockProfiles(tx) ? await work(tx) : undefined);
    pokeOutbox();
    return result;
  }
}
