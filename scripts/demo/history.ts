/** Stage 3: the history, the products and the platform's own logs, published and counted at every stage. @module */
import { publishAll } from "shared/bus/publisher.ts";
import type { Outgoing } from "shared/bus/message.ts";
import { subject } from "shared/contracts/streams.ts";
import { type LoadedMessage, loadMessages, type LoadOptions } from "../../examples/online-retail/load.ts";
import { DRIFT_FROM, USER_EVENTS } from "../../examples/online-retail/load.ts";
import { HISTORY } from "../../examples/online-retail/expected.ts";
import { showCounts, waitForClock, waitUntilApplied } from "./counts.ts";
import type { Demo } from "./demo_context.ts";
import { publishBadEvents } from "./rejections.ts";
import { grouped } from "./screen.ts";

const LOGS = "logs";
/** Lines a message; one line is some 300 bytes. */
const LOG_LINES_A_MESSAGE = 500;

export async function publishHistory(demo: Demo): Promise<void> {
  const { screen, checks, published } = demo;
  const first = await publishPeriod(demo, { until: DRIFT_FROM });
  checks.count("invoice lines of the history", HISTORY.lines, published.sources.get(USER_EVENTS)!.published);
  checks.count("products of the history", HISTORY.products, published.sources.get("products")!.published);
  await publishAgain(demo, first);
  const logLines = await publishLogs(demo);
  screen.line(
    `   Published ${grouped(HISTORY.lines)} invoice lines up to ${HISTORY.clock.slice(0, 10)}, ` +
      `${grouped(HISTORY.products)} products, ${grouped(logLines)} lines of the services' own logs,`,
  );
  screen.line(
    `   and, as a publisher does that lost an answer, ${grouped(first.records)} of the lines twice`,
  );
  await publishBadEvents(demo);
  await waitUntilApplied(demo);
  await showCounts(demo);
  await waitForClock(demo, HISTORY.clock);
}

/** @returns the first message */
export async function publishPeriod(
  { bus, screen, published }: Demo,
  period: LoadOptions,
): Promise<LoadedMessage> {
  let first: LoadedMessage | undefined;
  let records = 0;
  for await (const loaded of loadMessages(period)) {
    await publishAll(bus, [loaded.message]);
    published.addLoaded(loaded);
    first ??= loaded;
    records += loaded.records;
    screen.progress(`published ${grouped(records)} records`);
  }
  return first!;
}

/** The same events in a new message: JetStream can't know them, data-ingestion must. */
async function publishAgain(
  { bus, published }: Demo,
  { message, source, records }: LoadedMessage,
): Promise<void> {
  await publishAll(bus, [{ ...message, messageId: `${message.messageId} again` }]);
  published.add(source, { published: records, duplicates: records });
}

/** What the services have logged since this stack was started. @returns how many lines */
async function publishLogs({ stack, bus, checks, published }: Demo): Promise<number> {
  const files = [...stack.services.values()].map(({ logFile }) => Deno.readTextFile(logFile));
  const lines = (await Promise.all(files)).flatMap(logEntries);
  const messages: Outgoing[] = [];
  for (let from = 0; from < lines.length; from += LOG_LINES_A_MESSAGE) {
    messages.push({
      subject: subject.events(LOGS),
      data: new TextEncoder().encode(`[${lines.slice(from, from + LOG_LINES_A_MESSAGE).join(",")}]`),
      messageId: `${LOGS}:${from}`,
    });
  }
  await publishAll(bus, messages);
  // The project cleans out what is finer than `info`, which is what services log by default.
  published.add(LOGS, { published: lines.length });
  checks.atLeast("lines in the services' logs", stack.services.size, lines.length);
  return lines.length;
}

/** The entries of a log: whole lines of JSON. What the runtime itself may have printed is none. */
function logEntries(text: string): string[] {
  return text.split("\n").slice(0, -1).filter((line) => line.startsWith("{") && line.endsWith("}"));
}
