import { assertEquals, assertStringIncludes } from "@std/assert";
import { fileURLToPath } from "node:url";

/** Runs a command line as `deno task ml` does, called in the folder `cwd`. */
async function ml(args: readonly string[], cwd?: string): Promise<{ code: number; said: string }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", fileURLToPath(import.meta.resolve("./main.ts")), ...args],
    ...(cwd === undefined ? {} : { env: { INIT_CWD: cwd } }),
  }).output();
  const decoder = new TextDecoder();
  return { code, said: decoder.decode(stdout) + decoder.decode(stderr) };
}

Deno.test("ml tells in a line what is wrong with the command line or the file", async () => {
  const folder = await Deno.makeTempDir();
  await Deno.writeTextFile(`${folder}/shop.json`, "{ project");
  const cases = [
    { args: ["apply", "nowhere.ts"], code: 1, expected: "Cannot apply nowhere.ts: there is no such file" },
    { args: ["apply", "shop.json"], code: 1, expected: "Cannot apply shop.json: it must be JSON" },
    {
      args: ["apply", "shop.json", "--purge"],
      code: 2,
      expected: "Cannot read the command line: Unknown option '--purge'",
    },
    { args: ["apply"], code: 2, expected: 'after "apply" must stand FILE' },
    { args: ["aply"], code: 2, expected: 'there is no command "aply"' },
    { args: ["redrive", "--all"], code: 2, expected: "must be one of redrive rejected, redrive quarantined" },
    {
      args: ["redrive", "rejected"],
      code: 2,
      expected: "--number, --source, --file, --path must be given, or --all",
    },
    { args: ["replay", "start"], code: 2, expected: "the option --source must be given" },
  ];
  for (const { args, code, expected } of cases) {
    const answer = await ml(args, folder);
    assertEquals(answer.code, code, answer.said);
    assertStringIncludes(answer.said, expected);
    assertEquals(answer.said.includes("    at "), false, answer.said);
  }
  await Deno.remove(folder, { recursive: true });
});
