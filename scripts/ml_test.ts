import { assertEquals, assertStringIncludes } from "@std/assert";
import { fileURLToPath } from "node:url";

async function ml(...args: string[]): Promise<{ code: number; said: string }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", fileURLToPath(import.meta.resolve("./ml.ts")), ...args],
  }).output();
  const decoder = new TextDecoder();
  return { code, said: decoder.decode(stdout) + decoder.decode(stderr) };
}

Deno.test("ml apply tells in a line what is wrong with the command line or the file", async () => {
  const file = await Deno.makeTempFile({ suffix: ".json" });
  await Deno.writeTextFile(file, "{ project");
  const cases = [
    { args: ["apply", "nowhere.ts"], expected: "Cannot apply nowhere.ts: there is no such file" },
    { args: ["apply", file], expected: `Cannot apply ${file}: it must be JSON` },
    { args: ["apply", file, "--purge"], expected: "Cannot read the command line: Unknown option '--purge'" },
  ];
  for (const { args, expected } of cases) {
    const { code, said } = await ml(...args);
    assertEquals(code, 1, said);
    assertStringIncludes(said, expected);
    assertEquals(said.includes("    at "), false, said);
  }
  await Deno.remove(file);
});
