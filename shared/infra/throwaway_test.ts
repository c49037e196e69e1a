import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { eventually } from "shared/testing/poll.ts";
import { dirname, join } from "node:path";
import { run } from "./command.ts";
import { makeTestFolder } from "./test_folder.ts";
import { sharedThrowawayPostgres } from "./throwaway.ts";

Deno.test("sharedThrowawayPostgres() starts one server for callers at once", async () => {
  const [one, other] = await Promise.all([sharedThrowawayPostgres(), sharedThrowawayPostgres()]);
  assertEquals([one.pid, one.port, one.superuser], [other.pid, other.port, other.superuser]);
});

Deno.test("sharedThrowawayPostgres() gives all files of a test run one server, which ends with the run", async () => {
  await using folder = await makeTestFolder();
  for (const name of ["one", "other"]) {
    await Deno.writeTextFile(
      join(folder.path, `${name}_test.ts`),
      `import { sharedThrowawayPostgres } from ${JSON.stringify(import.meta.resolve("./throwaway.ts"))};
      Deno.test(${JSON.stringify(name)}, async () => {
        const { logFile } = await sharedThrowawayPostgres();
        await Deno.writeTextFile(${JSON.stringify(join(folder.path, name))}, logFile);
      });`,
    );
  }
  const config = join(import.meta.dirname ?? "", "..", "..", "deno.json");
  const tested = await run(Deno.execPath(), ["test", "-A", "--no-check", "--config", config, folder.path]);
  assertMatch(tested.stdout, /2 passed/);
  const read = (name: string) => Deno.readTextFile(join(folder.path, name));
  assertEquals(await read("one"), await read("other"));
  const home = dirname(await read("one"));
  await eventually(() => assertRejects(() => Deno.stat(home), Deno.errors.NotFound));
});
