/** Finds the command that a command line means, and its options; and tells how it is used. @module */
import { parseArgs } from "node:util";
import { messageOf } from "shared/errors.ts";
import { type Command, type OptionSpecs, WrongUsage } from "./command.ts";

/** What was given: each option has the type that its declaration says. */
interface ReadArgs {
  options: Readonly<Record<string, string | boolean | string[] | undefined>>;
  positionals: string[];
}

export type Request =
  | { command: Command; args: ReadArgs }
  /** Of one command, of those that begin with a word, or of all. */
  | { help: readonly Command[] };

/** @throws {WrongUsage} when there is no such command, or it is called in another way than it is declared */
export function readCommandLine(args: readonly string[], commands: readonly Command[]): Request {
  const words = args[0] === "help" ? args.slice(1) : args;
  const asksHelp = words !== args || words.length === 0 || words[0] === "--help" || words[0] === "-h";
  const named = commands.filter(({ name }) => startsWith(words, name.split(" ")))
    .sort((one, other) => other.name.length - one.name.length)[0];
  if (named === undefined) {
    const first = words[0]?.startsWith("-") ? undefined : words[0];
    const family = first === undefined
      ? commands
      : commands.filter(({ name }) => name.startsWith(`${first} `));
    if (family.length === 0) throw new WrongUsage(`there is no command "${first}"`);
    if (asksHelp || words.slice(1).some(isHelp)) return { help: family };
    throw new WrongUsage(`the command must be one of ${family.map(({ name }) => name).join(", ")}`);
  }
  const rest = words.slice(named.name.split(" ").length);
  if (asksHelp || rest.some(isHelp)) return { help: [named] };
  return { command: named, args: readArguments(rest, named) };
}

const isHelp = (word: string) => word === "--help" || word === "-h";

const startsWith = (words: readonly string[], start: readonly string[]) =>
  start.every((word, index) => words[index] === word);

function readArguments(args: string[], command: Command): ReadArgs {
  const expected = command.positionals ?? [];
  let read;
  try {
    read = parseArgs({
      args,
      allowPositionals: true,
      options: Object.fromEntries(
        Object.entries(command.options as OptionSpecs).map((
          [name, { type, multiple = false }],
        ) => [name, { type, multiple }]),
      ),
    });
  } catch (error) {
    throw new WrongUsage(messageOf(error));
  }
  const { values, positionals } = read;
  if (positionals.length !== expected.length) {
    const must = expected.length === 0 ? "nothing" : expected.join(" ");
    throw new WrongUsage(`after "${command.name}" must stand ${must}, not "${positionals.join(" ")}"`);
  }
  // Only options that take text may be repeated: there are no arrays of booleans.
  return { options: values as ReadArgs["options"], positionals };
}

/** How to use these commands: all that there is to say of one, a line each of several. */
export function renderHelp(commands: readonly Command[]): string {
  const [only] = commands;
  if (only !== undefined && commands.length === 1) return describe(only);
  const rows = commands.map((command) => ({ left: signature(command), right: command.summary }));
  return [
    "Usage: deno task ml COMMAND",
    "",
    ...columns(rows),
    "",
    "  deno task ml help COMMAND tells more of one.",
    "  The bus is found by NATS_URL (default nats://127.0.0.1:4222).",
    "  Exit codes: 0 done; 1 not done, or something is left rejected or failed; 2 the command line is wrong.",
  ].join("\n");
}

function describe(command: Command): string {
  const options = Object.entries(command.options as OptionSpecs).map(([name, spec]) => ({
    left: spec.type === "boolean" ? `--${name}` : `--${name} ${spec.value ?? "VALUE"}`,
    right: spec.multiple ? `${spec.about}; may be repeated` : spec.about,
  }));
  return [
    `Usage: deno task ml ${signature(command)}${options.length > 0 ? " [OPTIONS]" : ""}`,
    "",
    `  ${command.summary}`,
    ...(command.details === undefined
      ? []
      : ["", ...command.details.split("\n").map((line) => `  ${line}`.trimEnd())]),
    ...(options.length > 0 ? ["", ...columns(options)] : []),
  ].join("\n");
}

const signature = ({ name, positionals = [] }: Command) => [name, ...positionals].join(" ");

function columns(rows: readonly { left: string; right: string }[]): string[] {
  const width = Math.max(...rows.map(({ left }) => left.length));
  return rows.map(({ left, right }) => `  ${left.padEnd(width)}   ${right}`);
}
