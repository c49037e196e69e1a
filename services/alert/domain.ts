/** The state machine of a rule: signals in, alerts out. Pure. @module */
import type { Alert, AlertRuleBody } from "shared/contracts/alert.ts";
import type { Instant } from "shared/contracts/time.ts";
import type { Signal } from "shared/contracts/signal.ts";

export interface RuleState {
  /** Signals in breach, and well, that came in a row. One of the two is zero. */
  breaches: number;
  well: number;
  /** The alert that is firing. */
  firing: Alert | null;
}

export interface Rule {
  name: string;
  body: AlertRuleBody;
}

export const INITIAL_STATE: RuleState = { breaches: 0, well: 0, firing: null };

/** The rules that a signal concerns. A rule hears only signals of its own project. */
export function concerns(rule: { project: string; body: AlertRuleBody }, signal: Signal): boolean {
  const { on } = rule.body;
  return rule.project === signal.project && on.kind === signal.kind &&
    on.subjectType === signal.subjectType &&
    on.name === signal.name;
}

/**
 * What a signal does to a rule. An alert fires after `after` breaches in a row and is resolved after `resolveAfter`
 * signals in a row that are well.
 *
 * @returns the new state, and the alert when it fired or was resolved
 */
export function applySignal(
  rule: Rule,
  state: RuleState,
  signal: Signal,
  options: { at: Instant; newId: () => string },
): { state: RuleState; changed: Alert | null } {
  if (signal.status === "breach") {
    const breaches = state.breaches + 1;
    if (state.firing || breaches < rule.body.after) {
      return { state: { breaches, well: 0, firing: state.firing }, changed: null };
    }
    const alert: Alert = {
      id: options.newId(),
      project: signal.project,
      rule: rule.name,
      severity: rule.body.severity,
      state: "firing",
      revision: 1,
      since: options.at,
      resolvedAt: null,
      summary: signal.summary,
      signal,
    };
    return { state: { breaches, well: 0, firing: alert }, changed: alert };
  }
  const well = state.well + 1;
  if (!state.firing || well < rule.body.resolveAfter) {
    return { state: { breaches: 0, well, firing: state.firing }, changed: null };
  }
  const resolved: Alert = {
    ...state.firing,
    state: "resolved",
    revision: state.firing.revision + 1,
    resolvedAt: options.at,
    summary: signal.summary,
    signal,
  };
  return { state: { breaches: 0, well, firing: null }, changed: resolved };
}
