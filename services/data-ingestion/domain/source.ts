import { type SourceBody, sourceBodySchema } from "shared/contracts/data_ingestion.ts";
import { type Duration, durationToMs } from "shared/contracts/time.ts";
import { invalid } from "shared/errors.ts";
import { compileRecordSchema, type RecordCheck } from "./record_schema.ts";

/** A source's definition, made ready for its records. */
export interface Source {
  name: string;
  project: string;
  version: number;
  body: SourceBody;
  check: RecordCheck;
}

/** Beyond this, what is added to an event's time might leave the calendar. */
const LONGEST = "P36500D";

/** @throws {AppError} `invalid` when its schema cannot be used, or a duration in it is out of all reason */
export function compileSource(
  definition: { name: string; project: string; version: number; body: unknown },
): Source {
  const { name, project, version } = definition;
  const body = sourceBodySchema.parse(definition.body);
  refuseLong("futureBound", body.futureBound);
  if (typeof body.knownAt === "object" && "delay" in body.knownAt) {
    refuseLong("knownAt/delay", body.knownAt.delay);
  }
  return { name, project, version, body, check: compileRecordSchema(body.schema) };
}

function refuseLong(field: string, duration: Duration | undefined): void {
  if (duration === undefined || durationToMs(duration) <= durationToMs(LONGEST)) return;
  throw invalid(`Cannot use the source: ${field} is ${duration}, and may be ${LONGEST}`);
}
