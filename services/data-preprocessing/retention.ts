/** Forgets what is old: the guard, the messages dealt with, the quarantine, the memory of cleanings. @module */
import type { SourceBody } from "shared/contracts/source.ts";
import { durationToMs } from "shared/contracts/time.ts";
import type { Database } from "shared/db/connection.ts";
import { delay } from "shared/delay.ts";
import type { Part } from "shared/lifecycle.ts";
import type { Logger } from "shared/log.ts";
import { createPeriodicPart } from "shared/periodic_part.ts";
import { takeLease } from "./repository/leases.ts";
import {
  forgetEvents,
  forgetKeys,
  forgetMessages,
  forgetPins,
  forgetQuarantined,
  forgetStates,
  quarantinedSources,
  type StateMark,
} from "./repository/retention.ts";

export interface RetentionDeps {
  db: Database;
  log: Logger;
  /** The sources that are declared, by name. */
  sources(): ReadonlyMap<string, Pick<SourceBody, "retention">>;
}

export interface RetentionOptions {
  /**
   * For so long a message, and an event in another message, is known when it comes again; and for so long after their
   * time are keys kept.
   */
  repeatDays: number;
  /** Quarantined records are kept for so long, or for as long as their source keeps its records, if that is shorter. */
  quarantineDays: number;
  /** Tells copies apart. */
  instance: string;
  /** Default: an hour. */
  everyMs?: number;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Between two small steps, so that the intake hardly notices. */
const STEP_PAUSE_MS = 20;

/** Looks each hour, one copy at a time. */
export function createRetention(deps: RetentionDeps, options: RetentionOptions): Part {
  const { db, log } = deps;
  const { instance, everyMs = HOUR_MS } = options;
  // Two copies may have been given the same name.
  const holder = `${instance} ${crypto.randomUUID()}`;
  return createPeriodicPart({
    name: "retention",
    action: "forget what is old",
    everyMs,
    log,
    async work(signal) {
      const lease = { name: "retention", holder, seconds: Math.max(1, everyMs / 1_000) };
      if (await takeLease(db, lease)) await forgetOld(deps, options, signal);
    },
  });
}

/** Forgets all that is old by now, in small steps; ends early when the signal is aborted. */
export async function forgetOld(
  { db, sources }: Pick<RetentionDeps, "db" | "sources">,
  { repeatDays, quarantineDays }: Pick<RetentionOptions, "repeatDays" | "quarantineDays">,
  signal: AbortSignal,
): Promise<void> {
  await untilNone(() => forgetMessages(db, repeatDays), signal);
  await untilNone(() => forgetPins(db, repeatDays), signal);
  await untilNone(() => forgetKeys(db, repeatDays), signal);
  const declared = sources();
  const keptDays = (source: string) => {
    const retention = declared.get(source)?.retention;
    return retention === undefined ? Infinity : Math.ceil(durationToMs(retention) / DAY_MS);
  };
  for (const source of await quarantinedSources(db)) {
    const days = Math.min(quarantineDays, keptDays(source));
    await untilNone(() => forgetQuarantined(db, days, source), signal);
  }
  for (const source of declared.keys()) {
    const days = keptDays(source);
    if (days < Infinity) await passStates(db, { source, days }, signal);
  }
  for (let page: number | undefined = 0; page !== undefined && !signal.aborted;) {
    page = await forgetEvents(db, repeatDays, page);
    await delay(STEP_PAUSE_MS, signal);
  }
}

async function passStates(
  db: Database,
  { source, days }: { source: string; days: number },
  signal: AbortSignal,
): Promise<void> {
  let after: StateMark | undefined;
  do {
    after = await forgetStates(db, days, { source, after });
    await delay(STEP_PAUSE_MS, signal);
  } while (after !== undefined && !signal.aborted);
}

async function untilNone(step: () => Promise<number>, signal: AbortSignal): Promise<void> {
  while (!signal.aborted && await step() > 0) await delay(STEP_PAUSE_MS, signal);
}
