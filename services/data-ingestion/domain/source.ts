import { type SourceBody, sourceBodySchema } from "shared/contracts/source.ts";
import { type Duration, durationToMs, type Instant } from "shared/contracts/time.ts";
import type { DataRecord } from "shared/contracts/envelope.ts";
import { invalid, messageOf } from "shared/errors.ts";
import { compileRecordSchema, type RecordCheck } from "shared/expressions/record_schema.ts";
import { compileLogFormat, type LogLineReader } from "shared/log_formats/log_formats.ts";
import { compileTimeFormat } from "shared/time_formats/time_format.ts";
import { EARLIEST, PLAIN_TIMES } from "./plain_times.ts";
import { protectedSchema } from "./protected_schema.ts";
import { sameJson } from "./same_json.ts";
import { compileSecrets, pointer, secretPaths, type SecretPlace } from "./secrets.ts";

/** A source's definition, made ready for its records. */
export interface Source {
  name: string;
  project: string;
  version: number;
  body: SourceBody;
  /** Finds what is wrong with a record as it came. No reason shows a secret. */
  check: RecordCheck;
  /** The same for a record whose secrets have been hashed or dropped: nothing is said against that. */
  checkProtected: RecordCheck;
  /** Reads the field with the event time. */
  readTime: TimeReader;
  /** Of a source of logs. */
  lines?: { read: LogLineReader; format: NonNullable<SourceBody["format"]> };
  secrets: readonly SecretPlace[];
  /** A path within a record without the names of fields that lie within a secret. */
  withoutNames(path: string): string;
}

export interface TimeReader {
  /** A time that it reads. */
  example: string;
  read(value: unknown): Instant | undefined;
}

/** Beyond this, what is added to an event's time might leave the calendar. */
const LONGEST = "P36500D";

/** @throws {AppError} `invalid` when a schema, format or secret in it cannot be used, or a duration is out of all reason */
export function compileSource(
  definition: { name: string; project: string; version: number; body: unknown },
): Source {
  const { name, project, version } = definition;
  const body = sourceBodySchema.parse(definition.body);
  refuseLongDurations(body);
  const secrets = compileSecrets(body.secrets);
  refuseNeededSecrets(body, secrets);
  return {
    name,
    project,
    version,
    body,
    ...checksOf(body.schema, secrets),
    readTime: timeReaderOf(body),
    ...linesOf(body),
    secrets,
    withoutNames: secretPaths(secrets).withoutNames,
  };
}

function checksOf(
  schema: DataRecord,
  secrets: readonly SecretPlace[],
): Pick<Source, "check" | "checkProtected"> {
  if (secrets.length === 0) {
    const check = compileRecordSchema(schema);
    return { check, checkProtected: check };
  }
  const { hides, isBare } = secretPaths(secrets);
  const check = compileRecordSchema(schema, { hides });
  const checkOthers = compileRecordSchema(protectedSchema(schema, secrets.map(({ tokens }) => tokens)), {
    hides,
  });
  return {
    check,
    checkProtected(data) {
      const reasons = checkOthers(data);
      const ofBare = check(data).filter(({ path }) => isBare(path, data));
      return [...reasons, ...ofBare.filter((reason) => !reasons.some((known) => sameJson(known, reason)))];
    },
  };
}

function timeReaderOf({ time, timeFormat }: SourceBody): TimeReader {
  if (timeFormat === undefined) return PLAIN_TIMES;
  if (time === null) {
    throw invalid("Cannot use the source: timeFormat says how the field `time` is read, and there is none");
  }
  const { format, ...options } = timeFormat;
  const { example, read } = explained(() => compileTimeFormat(format, options));
  const readFormat = (value: unknown) => {
    const instant = typeof value === "string" ? read(value.trim()) : undefined;
    return instant !== undefined && instant >= EARLIEST ? instant : undefined;
  };
  return { example, read: readFormat };
}

function explained<T>(compile: () => T): T {
  try {
    return compile();
  } catch (error) {
    throw invalid(`Cannot use the source: timeFormat ${messageOf(error)}`);
  }
}

function linesOf({ kind, format }: SourceBody): Pick<Source, "lines"> {
  if (kind !== "logs") {
    if (format === undefined) return {};
    throw invalid(`Cannot use the source: its kind is ${kind}, and only logs have a format of lines`);
  }
  const known = format ?? "json";
  return { lines: { read: compileLogFormat(known), format: known } };
}

function refuseLongDurations(body: SourceBody): void {
  const delay = typeof body.knownAt === "object" && "delay" in body.knownAt ? body.knownAt.delay : undefined;
  const { futureBound, lateBound, retention, duplicateHorizon } = body;
  const durations = { futureBound, lateBound, retention, duplicateHorizon, "knownAt/delay": delay };
  for (const [field, duration] of Object.entries(durations)) refuseLong(field, duration);
}

function refuseLong(field: string, duration: Duration | undefined): void {
  if (duration === undefined || durationToMs(duration) <= durationToMs(LONGEST)) return;
  throw invalid(`Cannot use the source: ${field} is ${duration}, and may be ${LONGEST}`);
}

/** The times are read in clear, and an id can't be made of nothing. */
function refuseNeededSecrets({ id, time, knownAt }: SourceBody, secrets: readonly SecretPlace[]): void {
  for (const { tokens, policy } of secrets) {
    const [field] = tokens;
    const refuse = (what: string) => {
      throw invalid(`Cannot use the source: its secret ${pointer(tokens)} must not be ${what}`);
    };
    if (field === time) refuse("in the field of the event time");
    if (typeof knownAt === "object" && "field" in knownAt && field === knownAt.field) {
      refuse("in the field of the known-at time");
    }
    if (policy === "drop" && id.includes(field!)) refuse("dropped, for it is part of the id");
  }
}
