/** One record through a cleaning, as tests write both down. @module */
import type { z } from "zod";
import { cleaningBodySchema } from "shared/contracts/cleaning.ts";
import type { DataRecord } from "shared/contracts/envelope.ts";
import { AppError } from "shared/errors.ts";
import { type Cleaned, compileCleaning, type CompileOptions } from "../cleaning.ts";
import { NO_MEMORY } from "../memory.ts";

export type Body = z.input<typeof cleaningBodySchema>;
export type StepInput = NonNullable<Body["steps"]>[number];

const event = { id: "1", time: "2011-05-02T08:26:00.000Z", knownAt: "2011-05-02T08:26:00.000Z" };

/** What becomes of a record that is not exploded. */
export async function cleanOne(
  body: Body,
  data: DataRecord,
  options: CompileOptions = {},
): Promise<Cleaned> {
  const cleaning = compileCleaning(cleaningBodySchema.parse(body), options);
  const [cleaned] = await cleaning.clean([{ event, data }], { memory: NO_MEMORY });
  return cleaned!;
}

/** What one step makes of a record: its data, or each reason as `path message`. */
export async function stepped(
  step: StepInput,
  data: DataRecord,
  options: CompileOptions = {},
): Promise<DataRecord | string[] | string> {
  const cleaned = await cleanOne({ steps: [step] }, data, options);
  switch (cleaned.outcome) {
    case "clean":
      return cleaned.data;
    case "filtered":
      return cleaned.reason;
    case "quarantined":
      return cleaned.reasons.map(({ path, message }) => `${path} ${message}`);
  }
}

/** What is wrong with a cleaning, each as `path message`; empty: nothing is. */
export function mistakesIn(body: Body, options: CompileOptions = {}): string[] {
  try {
    compileCleaning(cleaningBodySchema.parse(body), options);
    return [];
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return error.reasons.map(({ path, message }) => `${path} ${message}`);
  }
}
