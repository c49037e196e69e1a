/** What a command of `deno task ml` is, and what it is given. @module */
import type { Bus } from "shared/bus/connection.ts";

/** An option as it stands on the command line: `--prune`, `--source NAME`. */
export interface OptionSpec {
  type: "boolean" | "string";
  /** May be given several times. Default false. */
  multiple?: boolean;
  /** What stands for its value in the help: `NAME`. */
  value?: string;
  /** For the help, in a line. */
  about: string;
}

export type OptionSpecs = Readonly<Record<string, OptionSpec>>;

type ValueOf<Spec extends OptionSpec> = Spec["type"] extends "boolean" ? boolean
  : Spec["multiple"] extends true ? string[]
  : string;

/** The options that were given, by name. */
export type OptionValues<Options extends OptionSpecs> = { [Name in keyof Options]?: ValueOf<Options[Name]> };

export interface CommandArgs<Options extends OptionSpecs> {
  options: OptionValues<Options>;
  /** As many as the command's `positionals` names. */
  positionals: string[];
}

/** What commands share: the screen, the bus, and where they were called. */
export interface CommandContext {
  /** To standard output: what was asked for. */
  print(text: string): void;
  /** To standard error: what goes on meanwhile. On a terminal each line replaces the one before. */
  progress(line: string): void;
  /** Connects to the bus of NATS_URL; the caller disposes of it. */
  connect(): Promise<Bus>;
  /** A path as the user gave it, from where the task was called. */
  path(given: string): string;
  /** Who asks. */
  readonly actor: string;
}

export interface CommandSpec<Options extends OptionSpecs> {
  /** One word or two: `apply`, `replay start`. */
  name: string;
  /** In a line, without a period. */
  summary: string;
  /** What must follow the name, in capitals. Default: nothing. */
  positionals?: readonly string[];
  options: Options;
  /** More help, in paragraphs of full lines. */
  details?: string;
  /** @returns the exit code: 0 when all is well, 1 when something is left wrong */
  run(args: CommandArgs<Options>, context: CommandContext): Promise<number>;
}

/** A command whose options are checked when it is called. */
// deno-lint-ignore no-explicit-any -- a table of commands with different options has no common type of arguments
export type Command = CommandSpec<any>;

/** Declares a command; `run` is given its options with their types. */
export function defineCommand<const Options extends OptionSpecs>(spec: CommandSpec<Options>): Command {
  return spec;
}

/** The command line can't be understood; exit code 2. */
export class WrongUsage extends Error {}

/** An option that the command can't do without. @throws {WrongUsage} when it was not given */
export function required(value: string | undefined, option: string): string {
  if (value === undefined) throw new WrongUsage(`the option --${option} must be given`);
  return value;
}

/** An option's value as a number. @throws {WrongUsage} when it is none */
export function numberOption(value: string | undefined, option: string): number | undefined {
  if (value === undefined) return undefined;
  const number = Number(value);
  if (value.trim() !== "" && Number.isFinite(number)) return number;
  throw new WrongUsage(`the option --${option} must be a number, not "${value}"`);
}

/** An object without the fields that hold `undefined`: what was not given is not sent. */
export function given<Fields extends Record<string, unknown>>(
  fields: Fields,
): { [Name in keyof Fields]?: Exclude<Fields[Name], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [Name in keyof Fields]?: Exclude<Fields[Name], undefined>;
  };
}

export const JSON_OPTION = { type: "boolean", about: "print one JSON document instead of a table" } as const;
