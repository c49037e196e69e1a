/** `ml redrive`: sends records through again that were set aside, after what was wrong has been mended. @module */
import { call } from "shared/bus/endpoints.ts";
import { redriveRejected as rejectedEndpoint } from "shared/contracts/data_ingestion.ts";
import { redriveQuarantined as quarantinedEndpoint } from "shared/contracts/data_preprocessing.ts";
import { listDeadLetters, redriveDeadLetters as deadLettersOf } from "shared/contracts/dead_letters.ts";
import type { Bus } from "shared/bus/connection.ts";
import { type DataRecord, recordSchema } from "shared/contracts/envelope.ts";
import type { CallOptions } from "shared/bus/call.ts";
import { type CommandContext, defineCommand, given, JSON_OPTION, required, WrongUsage } from "./command.ts";

const NUMBER = {
  type: "string",
  multiple: true,
  value: "N",
  about: "the record with this number",
} as const;

/** A call that redrives up to a thousand records takes longer than a question. */
const CALL_TIMEOUT_MS = 60_000;

export const redriveRejected = defineCommand({
  name: "redrive rejected",
  summary: "judge rejected records again, by their sources as they are now",
  options: {
    number: NUMBER,
    source: { type: "string", value: "NAME", about: "those of this source" },
    file: {
      type: "string",
      value: "SHA256",
      about: "those of the file with this SHA-256, or of this upload",
    },
    path: { type: "string", value: "POINTER", about: "those with a reason about this place, such as /price" },
    all: { type: "boolean", about: "all there are; needed where nothing else says which" },
    json: JSON_OPTION,
  },
  details: "Exit code 1 when some are still rejected: they have their new reasons.",
  async run({ options: { number, source, file, path, all, json } }, context) {
    const chosen = selection({ numbers: numbersOf(number), source, file, path }, all);
    await using bus = await context.connect();
    const sums = await sumPages(["stored", "duplicates", "rejected"], {
      ask: (after) => call(bus, rejectedEndpoint, { ...chosen, ...given({ after }) }, mutation(context)),
      context,
    });
    return finish(sums, { context, json, failed: sums.rejected });
  },
});

export const redriveQuarantined = defineCommand({
  name: "redrive quarantined",
  summary: "clean quarantined records again, by their cleanings as they are now",
  options: {
    number: NUMBER,
    source: { type: "string", value: "NAME", about: "those of this source" },
    path: { type: "string", value: "POINTER", about: "those with a reason about this place, such as /price" },
    fix: {
      type: "string",
      value: "JSON",
      about: "with one --number: fields to set before it is cleaned, null to take one away",
    },
    all: { type: "boolean", about: "all there are; needed where nothing else says which" },
    json: JSON_OPTION,
  },
  details: `Exit code 1 when some are still quarantined: they have their new reasons.
An example: deno task ml redrive quarantined --number 7 --fix '{"quantity": "3"}'`,
  async run({ options: { number, source, path, fix, all, json } }, context) {
    const chosen = selection({ numbers: numbersOf(number), source, path }, all);
    const fields = fixOf(fix, number);
    await using bus = await context.connect();
    const sums = await sumPages(["clean", "filtered", "quarantined"], {
      ask: (after) =>
        call(bus, quarantinedEndpoint, { ...chosen, ...given({ fix: fields, after }) }, mutation(context)),
      context,
    });
    return finish(sums, { context, json, failed: sums.quarantined });
  },
});

export const redriveDeadLetters = defineCommand({
  name: "redrive dead-letters",
  summary: "hand messages that a service could not handle to it again",
  options: {
    service: {
      type: "string",
      value: "SERVICE",
      about: "the service that could not, such as data-ingestion",
    },
    number: NUMBER,
    name: { type: "string", value: "NAME", about: "those of this source or model" },
    all: { type: "boolean", about: "all there are; needed where nothing else says which" },
    json: JSON_OPTION,
  },
  details:
    "Exit code 1 when some could not be sent: they stay where they are. What fails again comes back later.",
  async run({ options: { service, number, name, all, json } }, context) {
    const from = required(service, "service");
    const chosen = selection({ numbers: numbersOf(number), name }, all);
    await using bus = await context.connect();
    const numbers = chosen.numbers ?? await numbersOfLetters(bus, from, given({ name: chosen.name }));
    const sums = { redriven: 0, failed: 0 };
    for (let start = 0; start < numbers.length; start += MOST_NUMBERS) {
      const part = numbers.slice(start, start + MOST_NUMBERS);
      const reply = await call(bus, deadLettersOf(from), { numbers: part }, mutation(context));
      sums.redriven += reply.redriven;
      sums.failed += reply.failed.length;
      for (const { number, reason } of json ? [] : reply.failed) {
        context.print(`Number ${number} stays: ${reason}`);
      }
      context.progress(describe(sums));
    }
    return finish(sums, { context, json, failed: sums.failed });
  },
});

/** Of one call. */
const MOST_NUMBERS = 1_000;
const LETTERS_OF_A_PAGE = 200;

/** The letters that there are now, the oldest first: one that comes back is not sent round for ever. */
async function numbersOfLetters(bus: Bus, service: string, filter: { name?: string }): Promise<number[]> {
  const numbers: number[] = [];
  let after: string | undefined;
  do {
    const page = await call(bus, listDeadLetters(service), {
      ...filter,
      limit: LETTERS_OF_A_PAGE,
      ...given({ after }),
    });
    numbers.push(...page.deadLetters.map(({ number }) => number));
    after = page.next ?? undefined;
  } while (after !== undefined);
  return numbers.reverse();
}

/** Asks for page after page, and adds up what came of their records. */
async function sumPages<Outcome extends string>(
  outcomes: readonly Outcome[],
  { ask, context }: {
    ask: (after: string | undefined) => Promise<Record<Outcome, number> & { next: string | null }>;
    context: CommandContext;
  },
): Promise<Record<Outcome, number>> {
  const sums = Object.fromEntries(outcomes.map((outcome) => [outcome, 0])) as Record<Outcome, number>;
  let after: string | undefined;
  do {
    const page = await ask(after);
    for (const outcome of outcomes) sums[outcome] += page[outcome];
    after = page.next ?? undefined;
    context.progress(describe(sums));
  } while (after !== undefined);
  return sums;
}

/** A key of its own for each call: a retry by the client answers the same. */
const mutation = ({ actor }: CommandContext): CallOptions => ({
  actor,
  idempotencyKey: crypto.randomUUID(),
  timeoutMs: CALL_TIMEOUT_MS,
});

/** What was chosen. @throws {WrongUsage} when that is everything, and nobody said so */
function selection<Chosen extends Record<string, unknown>>(chosen: Chosen, all: boolean | undefined) {
  const fields = given(chosen);
  const names = Object.keys(chosen).map((name) => `--${name === "numbers" ? "number" : name}`);
  const isEmpty = Object.keys(fields).length === 0;
  if (isEmpty && !all) throw new WrongUsage(`one of ${names.join(", ")} must be given, or --all`);
  if (!isEmpty && all) throw new WrongUsage(`the option --all can't stand beside ${names.join(", ")}`);
  return fields;
}

function numbersOf(values: readonly string[] | undefined): number[] | undefined {
  return values?.map((value) => {
    if (!/^[1-9]\d{0,14}$/.test(value)) {
      throw new WrongUsage(`the option --number must be a whole number from 1, not "${value}"`);
    }
    return Number(value);
  });
}

function fixOf(fix: string | undefined, numbers: readonly string[] | undefined): DataRecord | undefined {
  if (fix === undefined) return undefined;
  if (numbers?.length !== 1) throw new WrongUsage("the option --fix needs exactly one --number");
  try {
    return recordSchema.parse(JSON.parse(fix));
  } catch {
    throw new WrongUsage(`the option --fix must be a JSON object, not ${fix}`);
  }
}

const describe = (sums: Readonly<Record<string, number>>) =>
  `Redriven: ${Object.entries(sums).map(([outcome, count]) => `${count} ${outcome}`).join(", ")}`;

function finish(
  sums: Readonly<Record<string, number>>,
  { context, json, failed }: { context: CommandContext; json: boolean | undefined; failed: number },
): number {
  context.print(json ? JSON.stringify(sums) : describe(sums));
  return failed === 0 ? 0 : 1;
}
