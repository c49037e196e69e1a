/** Judges windows of event time once they are over. @module */
import { floorToTick, type Instant, toInstant } from "shared/contracts/time.ts";
import type { Transaction } from "shared/db/connection.ts";
import { enqueue } from "shared/db/outbox.ts";
import { decodeRecordStatistics } from "shared/statistics/record_statistics.ts";
import { type Anomaly, areComparable, compareWindows } from "../domain/windows/anomalies.ts";
import { compareWithDeclared } from "../domain/windows/declared_fields.ts";
import type { WindowFacts, WindowRule } from "../domain/windows/rules.ts";
import { type Concern, listConcerns } from "../repository/concerns.ts";
import {
  listWindows,
  readJudgedUntil,
  readWindowBefore,
  saveAnomalies,
  saveJudgedUntil,
  type WindowRow,
} from "../repository/profiles.ts";
import type { Block, JudgedSource } from "./judged_source.ts";
import { sourceSignal } from "./signals.ts";
import { SourceConcerns } from "./source_concerns.ts";

/** In one transaction; each may hold statistics of some hundred kilobytes. */
const WINDOWS_AT_A_TIME = 25;

/** Windows in a row: one with records, or any number of empty ones, of which all the same is to be said. */
interface Span {
  startsAt: Instant;
  endsAt: Instant;
  window: WindowRow | undefined;
}

export interface SeriesToJudge {
  windowMs: number;
  /** By the project's clock. */
  now: Instant;
  block: Block;
}

/**
 * Judges the windows of one length that are over and were not judged yet, oldest first and some at a time: against the
 * expectations, and those of the profile against the window before and the declared fields. Ends early where a window
 * blocks the source.
 *
 * @returns whether there are more
 */
export async function judgeWindows(
  tx: Transaction,
  judged: JudgedSource,
  { windowMs, now, block }: SeriesToJudge,
): Promise<boolean> {
  const { source } = judged;
  const from = await readJudgedUntil(tx, source, windowMs);
  const end = toInstant(floorToTick(Date.parse(now), windowMs));
  if (from === undefined || end <= from) return false;
  const windows = await listWindows(tx, { source, windowMs, from, until: end, limit: WINDOWS_AT_A_TIME });
  const more = windows.length === WINDOWS_AT_A_TIME;
  const spans = toSpans(windows, {
    from,
    until: more ? toInstant(Date.parse(windows.at(-1)!.startsAt) + windowMs) : end,
    windowMs,
  });
  const first = await readWindowBefore(tx, { source, windowMs, startsAt: from });
  const judge = new SeriesJudge(tx, judged, {
    windowMs,
    block,
    before: first && factsOf(first),
    concerns: await listConcerns(tx, source),
  });
  for (const span of spans) {
    const blocked = await judge.judge(span);
    await saveJudgedUntil(tx, { source, windowMs, until: span.endsAt });
    if (blocked) return false;
  }
  return more;
}

function toSpans(
  windows: readonly WindowRow[],
  { from, until, windowMs }: { from: Instant; until: Instant; windowMs: number },
): Span[] {
  const spans: Span[] = [];
  let at = from;
  for (const window of windows) {
    if (at < window.startsAt) spans.push({ startsAt: at, endsAt: window.startsAt, window: undefined });
    at = toInstant(Date.parse(window.startsAt) + windowMs);
    spans.push({ startsAt: window.startsAt, endsAt: at, window });
  }
  if (at < until) spans.push({ startsAt: at, endsAt: until, window: undefined });
  return spans;
}

function factsOf({ records, statistics }: Pick<WindowRow, "records" | "statistics">): WindowFacts {
  return { records, fields: statistics === null ? [] : decodeRecordStatistics(statistics).summary() };
}

const EMPTY: WindowFacts = { records: 0, fields: [] };
/** Anomalies of one window after the other are one concern. */
const ANOMALIES = "anomalies";

/** A rule with what came of it. */
interface Verdict {
  rule: WindowRule;
  /** Why it does not hold. */
  message: string | undefined;
}

class SeriesJudge {
  readonly #tx: Transaction;
  readonly #judged: JudgedSource;
  readonly #windowMs: number;
  readonly #block: Block;
  readonly #rules: readonly WindowRule[];
  #before: WindowFacts | undefined;
  readonly #concerns: SourceConcerns;
  /** Of each kind, whether the last signal of this transaction said that all is well: it need not be said again. */
  readonly #saidWell = new Set<Concern["kind"]>();

  constructor(
    tx: Transaction,
    judged: JudgedSource,
    options: {
      windowMs: number;
      block: Block;
      before: WindowFacts | undefined;
      concerns: readonly Concern[];
    },
  ) {
    this.#tx = tx;
    this.#judged = judged;
    this.#windowMs = options.windowMs;
    this.#block = options.block;
    this.#rules = judged.rules.windows.filter(({ windowMs }) => windowMs === options.windowMs);
    this.#before = options.before;
    this.#concerns = new SourceConcerns(tx, judged.source, options.concerns);
  }

  /** @returns whether it blocked the source */
  async judge(span: Span): Promise<boolean> {
    const facts = span.window === undefined ? EMPTY : factsOf(span.window);
    const verdicts = this.#rules
      .filter(({ judgesEmpty }) => judgesEmpty || span.window !== undefined)
      .map((rule): Verdict => ({ rule, message: rule.judge(facts) }));
    const isProfile = this.#windowMs === this.#judged.rules.profileMs && span.window !== undefined;
    const anomalies = isProfile ? this.#anomaliesOf(facts) : [];
    const found: Anomaly[] = [
      ...verdicts.flatMap(({ rule: { kind }, message }) =>
        message === undefined ? [] : [{ field: "", kind, message }]
      ),
      ...anomalies,
    ];
    if (found.length > 0) {
      const key = { source: this.#judged.source, windowMs: this.#windowMs, startsAt: span.startsAt };
      await saveAnomalies(this.#tx, key, found);
    }
    if (isProfile) await this.#tellProfile(span, facts, anomalies);
    if (span.window !== undefined) this.#before = facts;
    return await this.#tellQuality(span, facts, verdicts);
  }

  #anomaliesOf(facts: WindowFacts): Anomaly[] {
    const { rules: { profile }, declared } = this.#judged;
    return [
      ...this.#before === undefined ? [] : compareWindows(facts, this.#before, profile),
      ...compareWithDeclared(facts, declared),
    ];
  }

  async #tellProfile(span: Span, facts: WindowFacts, anomalies: readonly Anomaly[]): Promise<void> {
    if (anomalies.length > 0) {
      const [first] = anomalies;
      await this.#concerns.add({
        kind: "profile",
        concern: ANOMALIES,
        message: textOf(first!),
        since: span.startsAt,
      });
      await this.#tell("profile", span, facts, anomalies.map(textOf));
      return;
    }
    const { profile } = this.#judged.rules;
    // A window that nothing can be compared with does not say that all is well.
    if (this.#before === undefined || !areComparable(facts, this.#before, profile)) return;
    await this.#concerns.remove("profile", ANOMALIES);
    await this.#tell("profile", span, facts, []);
  }

  async #tellQuality(span: Span, facts: WindowFacts, verdicts: readonly Verdict[]): Promise<boolean> {
    if (verdicts.length === 0) return false;
    for (const { rule: { key }, message } of verdicts) {
      if (message === undefined) await this.#concerns.remove("quality", key);
      else await this.#concerns.add({ kind: "quality", concern: key, message, since: span.startsAt });
    }
    const failed = verdicts.filter(({ message }) => message !== undefined);
    const findings = failed.map(({ message }) => message!);
    if (failed.some(({ rule }) => rule.action === "block")) {
      const { source, project } = this.#judged;
      const reason = `the window from ${span.startsAt} ${findings.join("; ")}`;
      await this.#block(this.#tx, { source, project, since: span.startsAt, reason });
      return true;
    }
    // Well is only what has no other concern, of other windows or of freshness.
    if (findings.length > 0 || !this.#concerns.has("quality")) {
      await this.#tell("quality", span, facts, findings);
    }
    return false;
  }

  async #tell(
    kind: Concern["kind"],
    { startsAt, endsAt }: Span,
    { records }: WindowFacts,
    findings: readonly string[],
  ): Promise<void> {
    if (findings.length === 0 && this.#saidWell.has(kind)) return;
    if (findings.length === 0) this.#saidWell.add(kind);
    else this.#saidWell.delete(kind);
    const { source, project, cleaning } = this.#judged;
    await enqueue(this.#tx, [sourceSignal({
      ...{ source, project, cleaning, kind, findings },
      about: `from ${startsAt} to ${endsAt}`,
      details: { from: startsAt, until: endsAt, records },
    })]);
  }
}

const textOf = ({ field, message }: Anomaly) => field === "" ? message : `${field} ${message}`;
