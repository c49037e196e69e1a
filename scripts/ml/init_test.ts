import { assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { Project } from "shared/contracts/project.ts";

/** Runs `ml init` as a task called in the folder. */
async function init(folder: string, ...args: string[]): Promise<{ code: number; said: string }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", fileURLToPath(import.meta.resolve("./main.ts")), "init", ...args],
    env: { INIT_CWD: folder, NO_COLOR: "1" },
  }).output();
  const decoder = new TextDecoder();
  return { code, said: decoder.decode(stdout) + decoder.decode(stderr) };
}

async function folderWith(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await Deno.makeTempDir();
  for (const [name, text] of Object.entries(files)) await Deno.writeTextFile(join(folder, name), text);
  return folder;
}

async function projectIn(folder: string, name = "project.ts"): Promise<Project> {
  return (await import(pathToFileURL(join(folder, name)).href)).default;
}

Deno.test("ml init writes a project that loads, is formatted, and says what was seen", async () => {
  const rows = Array.from(
    { length: 120 },
    (_, i) => `${i};2024-01-${10 + i % 20} 08:00:00; n${i};${i % 2 ? "NA" : "1,5"}`,
  );
  const folder = await folderWith({
    "Shop Orders.csv": `Order ID;OrderedAt;Note;Preis\n${rows.join("\n")}\n`,
  });
  const { code, said } = await init(folder, "--from", "Shop Orders.csv", "--project", "shop");
  assertEquals(code, 0, said);
  assertStringIncludes(said, "120 records with 4 fields");
  assertStringIncludes(said, "events; event time: OrderedAt; id: Order ID");

  const project = await projectIn(folder);
  assertEquals([project.project, project.clock], ["shop", "event"]);
  const source = project.sources["shop_orders"];
  assertEquals([source?.id, source?.time, source?.knownAt], [["Order ID"], "OrderedAt", "event_time"]);
  assertEquals(source?.schema["required"], ["Order ID", "OrderedAt", "Note", "Preis"]);
  assertEquals(project.cleaning["shop_orders"]?.steps, [
    {
      step: "rename",
      fields: { "Order ID": "order_id", OrderedAt: "ordered_at", Note: "note", Preis: "preis" },
    },
    { step: "trim", fields: ["note"] },
    { step: "map", field: "preis", values: { NA: null }, otherwise: "keep" },
    { step: "cast", fields: ["order_id"], to: "integer" },
    { step: "cast", fields: ["ordered_at"], to: "instant" },
    { step: "parse_number", fields: ["preis"], locale: "de" },
  ]);
  assertEquals(project.cleaning["shop_orders"]?.expectations, [
    { expect: "not_null", fields: ["order_id", "ordered_at", "note"], action: "quarantine" },
    { expect: "pattern", field: "note", pattern: "^[a-z][0-9]{1,3}$", action: "warn" },
    { expect: "range", field: "preis", min: 1.5, max: 1.5, action: "warn" },
  ]);

  const text = await Deno.readTextFile(join(folder, "project.ts"));
  assertStringIncludes(text, "// integer from 0 to 119; 120 different; never null");
  assertStringIncludes(text, "50% null");
  const format = await new Deno.Command(Deno.execPath(), {
    args: ["fmt", "--no-config", "--line-width", "110", "--check", join(folder, "project.ts")],
  }).output();
  assertEquals(format.success, true);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("ml init writes over a file only when it is told to", async () => {
  const folder = await folderWith({ "a.ndjson": '{"n":1}\n', "project.ts": "// mine\n" });
  const refused = await init(folder, "--from", "a.ndjson");
  assertEquals(refused.code, 1);
  assertStringIncludes(refused.said, "Cannot write project.ts: it is there already");
  assertEquals(await Deno.readTextFile(join(folder, "project.ts")), "// mine\n");
  assertEquals((await init(folder, "--from", "a.ndjson", "--force")).code, 0);
  assertEquals(Object.keys((await projectIn(folder)).sources), ["a"]);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("ml init writes a module that loads whatever stands in names and values", async () => {
  const odd = ["*/", "${x}", "`", "a\u2028b", "a\\", '"', "// b", "__proto__", "constructor", "default"];
  const records = odd.map((text, index) => ({
    ...Object.fromEntries(odd.map((name) => [name, text])),
    // The only value of its field is shown in a comment.
    same: "a\u2028b",
    n: index,
  }));
  const text = records.map((record) => JSON.stringify(record)).join("\n");
  const folder = await folderWith({ "*odd.ndjson": text });
  const { code, said } = await init(folder, "--from", "*odd.ndjson", "--out", "odd.ts");
  assertEquals(code, 0, said);
  const { sources } = await projectIn(folder, "odd.ts");
  assertEquals(
    Object.keys(sources["odd"]?.schema["properties"] ?? {}).sort(),
    [...odd.filter((name) => !(name in {})), "n", "same"].sort(),
  );
  await Deno.remove(folder, { recursive: true });
});

Deno.test("ml init says in a line what keeps it from inferring", async () => {
  const folder = await folderWith({ "a.bin": "what\nis\nthis\n", "b.csv": "", "c.csv": "name\n" });
  const cases = [
    { args: ["--from", "nowhere.csv"], code: 1, expected: "there is no such file" },
    { args: ["--from", "a.bin"], code: 1, expected: "Cannot tell the format" },
    { args: ["--from", "b.csv"], code: 1, expected: "it is empty" },
    { args: ["--from", "c.csv"], code: 1, expected: "no record that can be read" },
    { args: ["--from", "c.csv", "--name", "My Shop"], code: 2, expected: "--name must match" },
    { args: [], code: 2, expected: "--from must be given" },
  ];
  for (const { args, code, expected } of cases) {
    const answer = await init(folder, ...args);
    assertEquals(answer.code, code, answer.said);
    assertStringIncludes(answer.said, expected);
    assertEquals(answer.said.includes("    at "), false, answer.said);
  }
  await Deno.remove(folder, { recursive: true });
});
