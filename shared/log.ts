/**
 * Logs: one JSON line an entry, in the Elastic Common Schema, on standard output.
 *
 * Lines are written at once, not buffered: an entry costs about 5 us to a file, and the last words of a process
 * that dies are the ones that matter. Needs `--allow-sys=hostname --allow-env=NODE_V8_COVERAGE`.
 *
 * @module
 */
import { ecsFormat } from "@elastic/ecs-pino-format";
import { type DestinationStream, type Logger as PinoLogger, pino } from "pino";
import { VERSION } from "./version.ts";

export type Logger = PinoLogger;

export interface LoggerOptions {
  /** Default `info`; `silent` writes nothing. */
  level?: string;
  /** Tells the copies of a service apart. */
  instance?: string;
  /** Default: standard output. */
  destination?: DestinationStream;
}

/** The logger of a process. Give it an error as `log.error({ err }, "...")`. */
export function createLogger(service: string, options: LoggerOptions = {}): Logger {
  const { level = "info", instance, destination = pino.destination({ fd: 1, sync: true }) } = options;
  const format = ecsFormat({
    serviceName: service,
    serviceVersion: VERSION,
    apmIntegration: false,
    ...(instance === undefined ? {} : { serviceNodeName: instance }),
  });
  return pino({ ...format, level }, destination);
}

/** A logger that writes nothing, for tests. */
export const silentLogger: Logger = pino({ level: "silent" }, { write() {} });
