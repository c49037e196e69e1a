import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { defineCommand, WrongUsage } from "./command.ts";
import { readCommandLine, renderHelp } from "./command_line.ts";
import { COMMANDS } from "./commands.ts";

const run = () => Promise.resolve(0);
const plain = defineCommand({
  name: "walk",
  summary: "go somewhere",
  positionals: ["PLACE"],
  options: {
    fast: { type: "boolean", about: "run" },
    by: { type: "string", multiple: true, about: "a road" },
  },
  run,
});
const there = defineCommand({ name: "way there", summary: "the way there", options: {}, run });
const back = defineCommand({ name: "way back", summary: "the way back", options: {}, run });
const commands = [plain, there, back];

Deno.test("readCommandLine() finds the command, its options and what follows it", () => {
  const request = readCommandLine(["walk", "--by", "a", "home", "--fast", "--by=b"], commands);
  assertEquals(
    "command" in request && [request.command.name, { ...request.args.options }, request.args.positionals],
    [
      "walk",
      { by: ["a", "b"], fast: true },
      ["home"],
    ],
  );
  const second = readCommandLine(["way", "back"], commands);
  assertEquals("command" in second && second.command.name, "way back");
});

Deno.test("readCommandLine() finds whose help is meant", () => {
  const cases: [string[], string[]][] = [
    [[], ["walk", "way there", "way back"]],
    [["--help"], ["walk", "way there", "way back"]],
    [["help"], ["walk", "way there", "way back"]],
    [["help", "way"], ["way there", "way back"]],
    [["way", "--help"], ["way there", "way back"]],
    [["help", "walk"], ["walk"]],
    [["walk", "-h"], ["walk"]],
  ];
  for (const [args, expected] of cases) {
    const request = readCommandLine(args, commands);
    assertEquals("help" in request && request.help.map(({ name }) => name), expected);
  }
});

Deno.test("readCommandLine() refuses what no command takes", () => {
  const cases = [
    { args: ["swim"], expected: 'there is no command "swim"' },
    { args: ["way"], expected: "must be one of way there, way back" },
    { args: ["--fast"], expected: "must be one of walk, way there, way back" },
    { args: ["walk"], expected: 'after "walk" must stand PLACE, not ""' },
    { args: ["way", "back", "home"], expected: 'after "way back" must stand nothing, not "home"' },
    { args: ["walk", "home", "--slow"], expected: "--slow" },
    { args: ["walk", "home", "--by"], expected: "--by" },
  ];
  for (const { args, expected } of cases) {
    assertThrows(() => readCommandLine(args, commands), WrongUsage, expected);
  }
});

Deno.test("renderHelp() lists every command, and every option of one", () => {
  const overview = renderHelp(COMMANDS);
  for (const command of COMMANDS) {
    assertStringIncludes(overview, command.name);
    const help = renderHelp([command]);
    assertStringIncludes(help, command.summary);
    for (const option of Object.keys(command.options)) assertStringIncludes(help, `--${option}`);
  }
});
