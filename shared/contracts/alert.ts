/** alert: what it owns, answers and publishes. @module */
import { z } from "zod";
import { listDeadLetters, redriveDeadLetters } from "./dead_letters.ts";
import { listDefinitions, putDefinition, removeDefinition } from "./definition.ts";
import { endpoint } from "./endpoint.ts";
import { nameSchema } from "./names.ts";
import { signalSchema } from "./signal.ts";
import { instantSchema } from "./time.ts";

const service = "alert";

export const severitySchema = z.enum(["info", "warning", "critical"]);

/** Turns signals in breach into an alert, and ends it when they are well again. */
export const alertRuleBodySchema = z.object({
  on: z.object({ kind: nameSchema, subjectType: nameSchema, name: nameSchema }),
  severity: severitySchema.default("warning"),
  /** Breaches in a row before the alert fires. */
  after: z.int().positive().default(1),
  /** Signals that are well in a row before it is resolved. */
  resolveAfter: z.int().positive().default(1),
  description: z.string().default(""),
});
export type AlertRuleBody = z.infer<typeof alertRuleBodySchema>;

export const putAlertRule = putDefinition(service, "alert-rule", alertRuleBodySchema);
export const removeAlertRule = removeDefinition(service, "alert-rule");
export const definitions = listDefinitions(service);

export const deadLetters = listDeadLetters(service);
export const redriveDead = redriveDeadLetters(service);

/** An alert, from its first breach to its end; also the data of an `alerts.<severity>` event. */
export const alertSchema = z.object({
  id: z.uuid(),
  project: nameSchema,
  rule: nameSchema,
  severity: severitySchema,
  state: z.enum(["firing", "resolved"]),
  /** Counts the changes of this alert, from 1. */
  revision: z.int().positive(),
  since: instantSchema,
  resolvedAt: instantSchema.nullable(),
  summary: z.string(),
  signal: signalSchema,
});
export type Alert = z.infer<typeof alertSchema>;

export const listAlerts = endpoint({
  service,
  verb: "alerts",
  http: { method: "get", path: "/v1/alerts" },
  summary: "Alerts, newest first",
  request: z.object({
    state: z.enum(["firing", "resolved"]).optional(),
    limit: z.coerce.number().int().min(1).max(500).default(50),
  }),
  reply: z.object({ alerts: z.array(alertSchema) }),
});
