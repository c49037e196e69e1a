/** Judges how fresh a source is, by the clock of its project. @module */
import type { Instant } from "shared/contracts/time.ts";
import type { Transaction } from "shared/db/connection.ts";
import { enqueue } from "shared/db/outbox.ts";
import type { FreshnessRule, WindowRules } from "../domain/windows/rules.ts";
import { type Concern, listConcerns } from "../repository/concerns.ts";
import type { Block, JudgedSource } from "./judged_source.ts";
import { sourceSignal } from "./signals.ts";
import { SourceConcerns } from "./source_concerns.ts";

export interface Freshness {
  /** Event time of the newest clean record. */
  newestAt: Instant;
  /** By the project's clock. */
  now: Instant;
}

function staleRules(rules: readonly FreshnessRule[], { newestAt, now }: Freshness): FreshnessRule[] {
  return rules.filter(({ maxMs }) => Date.parse(now) - Date.parse(newestAt) > maxMs);
}

/** Concerns about what no cleaning expects any more. */
function obsolete(concerns: readonly Concern[], { windows, freshness }: WindowRules): Concern[] {
  const known = new Set([...windows, ...freshness].map(({ key }) => key));
  return concerns.filter(({ kind, concern }) => kind === "quality" && !known.has(concern));
}

/** Whether {@link judgeFreshness} would change anything. */
export function needsFreshness(
  { rules }: JudgedSource,
  freshness: Freshness,
  concerns: readonly Concern[],
): boolean {
  if (obsolete(concerns, rules).length > 0) return true;
  const standing = new Set(concerns.map(({ concern }) => concern));
  const stale = new Set(staleRules(rules.freshness, freshness));
  return rules.freshness.some((rule) => stale.has(rule) !== standing.has(rule.key));
}

/** Tells when a source becomes stale and when it is fresh again, and forgets what is not expected any more. */
export async function judgeFreshness(
  tx: Transaction,
  judged: JudgedSource,
  { freshness, block }: { freshness: Freshness; block: Block },
): Promise<void> {
  const { source, project, cleaning, rules } = judged;
  const { newestAt, now } = freshness;
  const standing = await listConcerns(tx, source);
  const concerns = new SourceConcerns(tx, source, standing);
  const wasWell = !concerns.has("quality");
  for (const { kind, concern } of obsolete(standing, rules)) await concerns.remove(kind, concern);

  const known = new Set(standing.map(({ concern }) => concern));
  const stale = new Set(staleRules(rules.freshness, freshness));
  const began = [...stale].filter(({ key }) => !known.has(key));
  for (const rule of rules.freshness) {
    if (!stale.has(rule)) await concerns.remove("quality", rule.key);
  }
  for (const rule of began) {
    await concerns.add({
      kind: "quality",
      concern: rule.key,
      message: staleText(rule, freshness),
      since: newestAt,
    });
  }
  if (began.some(({ action }) => action === "block")) {
    const reason = began.map((rule) => staleText(rule, freshness)).join("; ");
    return await block(tx, { source, project, since: newestAt, reason });
  }
  const isWellAgain = !wasWell && !concerns.has("quality");
  if (began.length === 0 && !isWellAgain) return;
  await enqueue(tx, [sourceSignal({
    ...{ source, project, cleaning, kind: "quality" },
    findings: began.map((rule) => staleText(rule, freshness)),
    about: `at ${now}`,
    details: { newest: newestAt, now },
  })]);
}

function staleText({ max }: FreshnessRule, { newestAt, now }: Freshness): string {
  return `has no record since ${newestAt}, more than ${max} before ${now}`;
}
