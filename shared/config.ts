/**
 * The settings of a process: environment variables and nothing else. (For development,
 * `deno run --env-file` fills them from `.env` files.) A wrong setting stops the start, with every mistake listed.
 *
 * @module
 */
import { z } from "zod";
import { AppError, type Reason } from "./errors.ts";

/** A whole number of a setting, with its bounds in the error message. */
export function integerSetting(minimum: number, maximum: number) {
  const accepted = `must be a whole number from ${minimum} to ${maximum}`;
  return z.coerce.number(accepted).int(accepted).min(minimum, accepted).max(maximum, accepted);
}

/** A setting whose value no message shows. */
export function secretSetting<Schema extends z.ZodType>(schema: Schema): Schema {
  return schema.meta({ ...schema.meta(), secret: true });
}

const natsUrl = "must be one or more NATS addresses such as nats://127.0.0.1:4222, separated by commas";
const databaseUrl = "must be a PostgreSQL address such as postgres://role:password@127.0.0.1:5432/database " +
  "or postgres://role:password@/database?host=/folder/of/the/socket&port=5432";
const levels = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;

/** The settings of a process without a database. */
export const databaselessConfigSchema = z.object({
  NATS_URL: z.string(natsUrl).regex(/^(?:nats|tls):\/\/[^\s,]+(?:,(?:nats|tls):\/\/[^\s,]+)*$/, natsUrl),
  /** Loopback unless told otherwise: nothing here asks who is calling yet. */
  HTTP_HOST: z.string().default("127.0.0.1"),
  /** 0 takes any free port. */
  HTTP_PORT: integerSetting(0, 65_535),
  /** Copies on one machine may listen on the same port: the system shares the connections out among them. */
  HTTP_SHARED_PORT: z.stringbool({ error: "must be true or false" }).default(false),
  LOG_LEVEL: z.enum(levels, `must be one of ${levels.join(", ")}`).default("info"),
  /** Tells the copies of a service apart. */
  INSTANCE: z.string().regex(
    /^[A-Za-z0-9._-]{1,64}$/,
    "must be 1 to 64 letters, digits, dots, dashes or underscores",
  )
    .default(() => crypto.randomUUID().slice(0, 8)),
  /** Stop when standard input ends. A launcher sets this, so that its services end with it, whatever ends it. */
  STOP_WITH_STDIN: z.stringbool({ error: "must be true or false" }).default(false),
});

/** The settings of every service that has a database; a service extends them with its own. */
export const baseConfigSchema = databaselessConfigSchema.extend({
  DATABASE_URL: secretSetting(z.string(databaseUrl).regex(/^postgres(?:ql)?:\/\/\S+$/, databaseUrl)),
});

/**
 * Reads the settings. An empty variable counts as absent.
 *
 * @param env default: the process's environment, of which only the schema's variables are read
 * @param options.service who can't start, in the error message
 * @throws {AppError} `invalid`, with a reason for every setting that is missing or wrong: its name, its value
 * (never a secret's) and what is accepted
 */
export function loadConfig<Schema extends z.ZodObject>(
  schema: Schema,
  env?: Readonly<Record<string, string | undefined>>,
  options: { service?: string } = {},
): z.infer<Schema> {
  const names = Object.keys(schema.shape);
  // One by one: a process is allowed to read just these, not the whole environment.
  const read = (name: string) => (env === undefined ? Deno.env.get(name) : env[name]) || undefined;
  const values = Object.fromEntries(names.map((name) => [name, read(name)]));
  const result = schema.safeParse(values);
  if (result.success) return result.data;

  const reasons = new Map<string, Reason>();
  for (const issue of result.error.issues) {
    const name = String(issue.path[0] ?? "");
    if (!reasons.has(name)) reasons.set(name, { path: name, message: complaint(name, issue.message) });
  }
  const count = reasons.size === 1 ? "1 setting is wrong" : `${reasons.size} settings are wrong`;
  throw new AppError("invalid", `Cannot start ${options.service ?? "the service"}: ${count}`, {
    reasons: [...reasons.values()],
  });

  function complaint(name: string, accepted: string): string {
    const value = values[name];
    if (value === undefined) return `is not set: ${accepted}`;
    const setting = schema.shape[name] as z.ZodType | undefined;
    return `is ${
      setting?.meta()?.["secret"] === true ? "set (a secret)" : JSON.stringify(value)
    }: ${accepted}`;
  }
}

/** A configuration error as people read it: the message, then one line a setting. */
export function describeConfigError(error: AppError): string {
  return [error.message, ...error.reasons.map(({ path, message }) => `  ${path} ${message}`)].join("\n");
}
