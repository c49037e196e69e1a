/** Counts each signal once for every rule it concerns, and tells of the alerts that changed. @module */
import { v7 as uuidv7 } from "uuid";
import { encodeBatches } from "shared/bus/batch.ts";
import type { Alert, AlertRuleBody } from "shared/contracts/alert.ts";
import type { StoredDefinition } from "shared/contracts/definition.ts";
import { EVENT_TYPE, type PlatformEvent } from "shared/contracts/envelope.ts";
import type { Signal } from "shared/contracts/signal.ts";
import { subject } from "shared/contracts/streams.ts";
import { toInstant } from "shared/contracts/time.ts";
import type { Transaction } from "shared/db/connection.ts";
import { enqueue } from "shared/db/outbox.ts";
import { applySignal, concerns } from "./domain.ts";
import { lockRuleState, rememberSignal, saveAlert, saveRuleState } from "./repository.ts";

export type Rule = StoredDefinition<AlertRuleBody>;
export type SignalEvent = PlatformEvent<Signal>;

/**
 * An alert that changed leaves through the outbox: a redelivered signal changes nothing any more, so what is published
 * after the write could be lost in a crash between the two.
 */
export async function judgeSignals(
  tx: Transaction,
  events: readonly SignalEvent[],
  rules: readonly Rule[],
): Promise<void> {
  for (const event of events) {
    if (!await rememberSignal(tx, event)) continue;
    for (const rule of rules.filter((rule) => concerns(rule, event.data))) await judge(tx, event, rule);
  }
}

async function judge(tx: Transaction, event: SignalEvent, rule: Rule): Promise<void> {
  const before = await lockRuleState(tx, rule.name);
  const { state, changed } = applySignal(rule, before, event.data, {
    at: toInstant(Date.now()),
    newId: uuidv7,
  });
  if (changed) {
    await saveAlert(tx, changed);
    await enqueue(
      tx,
      encodeBatches([toEvent(changed, rule, event)], { subject: subject.alert(changed.severity) }),
    );
  }
  await saveRuleState(tx, rule.name, state);
}

function toEvent(alert: Alert, rule: Rule, cause: SignalEvent): PlatformEvent<Alert> {
  const at = alert.resolvedAt ?? alert.since;
  return {
    specversion: "1.0",
    id: `${alert.id}/${alert.revision}`,
    source: alert.rule,
    type: EVENT_TYPE.alert,
    time: at,
    knownat: at,
    definition: rule.version,
    ...(cause.traceparent === undefined ? {} : { traceparent: cause.traceparent }),
    data: alert,
  };
}
