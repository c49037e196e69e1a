/** All the SQL of the alert service. @module */
import type { Alert } from "shared/contracts/alert.ts";
import type { PlatformEvent } from "shared/contracts/envelope.ts";
import type { Database, Transaction } from "shared/db/connection.ts";
import type { RuleState } from "./domain.ts";

/** Remembers a signal. @returns false when it was already counted */
export async function rememberSignal(
  tx: Transaction,
  event: Pick<PlatformEvent, "source" | "id">,
): Promise<boolean> {
  const rows = await tx`
    insert into signals_seen (source, id) values (${event.source}, ${event.id})
    on conflict do nothing returning 1`;
  return rows.length === 1;
}

/** The state of a rule, locked until the transaction ends, so that the copies of the service take turns. */
export async function lockRuleState(tx: Transaction, rule: string): Promise<RuleState> {
  await tx`insert into rule_states (rule) values (${rule}) on conflict do nothing`;
  const [row] = await tx<{ breaches: number; well: number; firing: string | null }[]>`
    select breaches, well, firing from rule_states where rule = ${rule} for update`;
  const { breaches, well, firing } = row!;
  const alerts = firing
    ? await tx<AlertRow[]>`select ${tx.unsafe(ALERT_COLUMNS)} from alerts where id = ${firing}`
    : [];
  return { breaches, well, firing: alerts[0] ? toAlert(alerts[0]) : null };
}

export async function saveRuleState(tx: Transaction, rule: string, state: RuleState): Promise<void> {
  await tx`
    update rule_states set breaches = ${state.breaches}, well = ${state.well}, firing = ${
    state.firing?.id ?? null
  }
    where rule = ${rule}`;
}

export async function saveAlert(tx: Transaction, alert: Alert): Promise<void> {
  await tx`
    insert into alerts (id, project, rule, severity, state, revision, since, resolved_at, summary, signal)
    values (${alert.id}, ${alert.project}, ${alert.rule}, ${alert.severity}, ${alert.state}, ${alert.revision},
      ${alert.since}, ${alert.resolvedAt}, ${alert.summary}, ${JSON.stringify(alert.signal)}::text::jsonb)
    on conflict (id) do update set state = excluded.state, revision = excluded.revision,
      resolved_at = excluded.resolved_at, summary = excluded.summary, signal = excluded.signal`;
}

/** Newest first. */
export async function listAlerts(
  db: Database,
  options: { state?: Alert["state"] | undefined; limit: number },
): Promise<Alert[]> {
  const rows = await db<AlertRow[]>`
    select ${db.unsafe(ALERT_COLUMNS)} from alerts
    where ${options.state ? db`state = ${options.state}` : db`true`}
    order by since desc, id desc limit ${options.limit}`;
  return rows.map(toAlert);
}

/** Alerts that are firing, by rule. */
export async function countFiring(db: Database): Promise<number> {
  const [row] = await db<{ firing: number }[]>`select count(*) as firing from alerts where state = 'firing'`;
  return row!.firing;
}

const ALERT_COLUMNS = "id, project, rule, severity, state, revision, since, resolved_at, summary, signal";

interface AlertRow extends Omit<Alert, "resolvedAt"> {
  resolved_at: string | null;
}

function toAlert({ resolved_at, ...row }: AlertRow): Alert {
  return { ...row, resolvedAt: resolved_at };
}
