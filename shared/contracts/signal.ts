/** Signals: measured facts with their bounds, by which services tell the alert service how things stand. @module */
import { z } from "zod";
import { nameSchema } from "./names.ts";

/** Data of a signal, published on `signals.<kind>.<subjectType>.<name>`. The alert service alone decides what follows. */
export const signalSchema = z.object({
  project: nameSchema,
  kind: nameSchema,
  subjectType: nameSchema,
  name: nameSchema,
  status: z.enum(["ok", "breach"]),
  value: z.number(),
  threshold: z.number(),
  summary: z.string(),
  /** What an engineer wants to see first, such as the drifting features with their PSI. */
  details: z.record(z.string(), z.unknown()),
});
export type Signal = z.infer<typeof signalSchema>;
