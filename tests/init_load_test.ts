import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { parquetWriteBuffer } from "hyparquet-writer";
import { call } from "shared/bus/endpoints.ts";
import { entityState, ledger, rejected } from "shared/contracts/data_ingestion.ts";
import { counts } from "shared/contracts/data_preprocessing.ts";
import { eventually } from "shared/testing/poll.ts";
import { type JourneyStack, startJourneyStack } from "./journey_stack.ts";

/** A file that `ml init` is to understand by itself. */
interface InitCase {
  path: string;
  /** Lines before the first record. */
  headerLines: number;
  /** Lines that hold no record, which the ledger has to name. */
  brokenLines: readonly number[];
  /** Records, where lines are none. */
  records?: number;
  /** The event time that it has to find. */
  time: string;
}

const CLEANED_WITHIN_MS = 300_000;
/** A source and its cleaning need no others. */
const TWO_SERVICES = { services: ["data-ingestion", "data-preprocessing"] };
const ROOT = fileURLToPath(new URL("..", import.meta.url));

const extract = (name: string) => join(ROOT, "tests/data", name);
const EXTRACTS: readonly InitCase[] = [
  { path: extract("online_retail.csv"), headerLines: 1, brokenLines: [], time: "InvoiceDate" },
  { path: extract("rees46_2019_oct.csv"), headerLines: 1, brokenLines: [], time: "event_time" },
  { path: extract("apache_access.log"), headerLines: 0, brokenLines: [200], time: "time" },
];

const shared = (name: string) => join(ROOT, "../shared/data", name);
const WHOLE_FILES: readonly InitCase[] = [
  {
    path: shared("online_retail_2010-12_2011-08.csv.gz"),
    headerLines: 1,
    brokenLines: [],
    time: "InvoiceDate",
  },
  { path: shared("2019-Oct-first17k.csv.gz"), headerLines: 1, brokenLines: [], time: "event_time" },
  { path: shared("apache_access.log.gz"), headerLines: 0, brokenLines: [8_899], time: "time" },
];

Deno.test("files become sources by ml init alone, and load with ledgers that balance against their lines", async (t) => {
  await using journey = await startJourneyStack(TWO_SERVICES);
  for (const file of [...EXTRACTS, ...await makeFiles(journey.folder)]) {
    await t.step(basename(file.path), () => initAndLoad(journey, file));
  }

  await t.step("states of entities are inferred as such, and what belongs to persons is hashed", async () => {
    const { state } = await call(journey.bus, entityState, { source: "customers", entity: "c7" });
    assertEquals(state?.time.slice(0, 4), "2024");
    assertMatch(String(state?.data["mail"]), /^hmac:/);
  });

  await t.step("the command line shows what was set aside, and sends it through again", async () => {
    const listed = await ml(journey, ["rejected", "--source", "apache_access"]);
    assertStringIncludes(listed.said, ":200");
    assertStringIncludes(listed.said, "must stand the agent in quotes");
    const redriven = await ml(journey, ["redrive", "rejected", "--source", "apache_access"]);
    assertEquals(redriven.code, 1, redriven.said);
    assertStringIncludes(redriven.said, "Redriven: 0 stored, 0 duplicates, 1 rejected");
    const balanced = await ml(journey, ["ledger", "--by", "day"]);
    assertEquals(balanced.code, 0, balanced.said);
    const nothing = {
      "Nothing is quarantined": ["quarantined"],
      "No source is held": ["blocks"],
      "There are no dead letters": ["dead-letters", "--service", "data-ingestion"],
      "Redriven: 0 clean, 0 filtered, 0 quarantined": ["redrive", "quarantined", "--all"],
      "Redriven: 0 redriven, 0 failed": ["redrive", "dead-letters", "--service", "data-ingestion", "--all"],
    };
    for (const [expected, args] of Object.entries(nothing)) {
      const { code, said } = await ml(journey, args);
      assertEquals(code, 0, said);
      assertStringIncludes(said, expected);
    }
  });

  await t.step("a replay is started from the command line, and followed to its end", async () => {
    const where = 'e.event_type == "view"';
    const { code, said } = await ml(journey, [
      "replay",
      "start",
      "--source",
      "rees46_2019_oct",
      "--where",
      where,
    ]);
    assertEquals(code, 0, said);
    const views = (await Deno.readTextFile(extract("rees46_2019_oct.csv"))).split(",view,").length - 1;
    assertStringIncludes(said, `is done: ${views} of 300 records published`);
    const list = await ml(journey, ["replay", "list"]);
    assertStringIncludes(list.said, "rees46_2019_oct");
  });
});

Deno.test({
  name: "whole files become sources by ml init alone, and load likewise (skipped without ../shared/data)",
  ignore: !(await Promise.all(WHOLE_FILES.map(({ path }) => exists(path)))).every(Boolean),
  fn: async (t) => {
    await using journey = await startJourneyStack(TWO_SERVICES);
    for (const file of WHOLE_FILES) await t.step(basename(file.path), () => initAndLoad(journey, file));
  },
});

/** Files of the other formats, written as people write numbers, times and nothing. */
async function makeFiles(folder: string): Promise<InitCase[]> {
  const rows = Array.from({ length: 250 }, (_, index) => ({
    index,
    day: String(index % 28 + 1).padStart(2, "0"),
    price: index / 4,
  }));
  const csv = rows.map(({ index, day, price }) =>
    `${index};${day}/01/2024 8:05;${String(price).replace(".", ",")};${
      index % 5 ? "yes" : "NA"
    }; note ${index} `
  );
  const ndjson = rows.map(({ index, day, price }) =>
    JSON.stringify({ at: `2024-01-${day}T08:05:00Z`, price, user: { id: index }, tags: [], note: null })
  );
  const logfmt = rows.map(({ index, day }) =>
    `time=2024-01-${day}T08:05:00Z level=info msg="took ${index} ms" n=${index}`
  );
  // States of things, with what belongs to persons.
  const customers = rows.map(({ index, day }) =>
    `c${index % 125},c${index % 125}@example.org,${index < 125 ? "2023" : "2024"}-01-${day}T00:00:00Z`
  );
  const parquet = parquetWriteBuffer({
    columnData: [
      { name: "at", data: rows.map(({ index }) => new Date(Date.UTC(2024, 0, 1) + index * 1_000)) },
      { name: "price", data: rows.map(({ index, price }) => index % 7 === 0 ? null : price), type: "DOUBLE" },
      { name: "Big Number", data: rows.map(({ index }) => 2n ** 60n + BigInt(index)) },
    ],
  });
  const write = async (name: string, content: string | Uint8Array): Promise<string> => {
    const path = join(folder, name);
    await Deno.writeFile(path, typeof content === "string" ? new TextEncoder().encode(content) : content);
    return path;
  };
  const lines = (header: string[], records: string[]) => [...header, ...records].join("\n") + "\n";
  return [
    {
      path: await write("german.csv", lines(["Order ID;Date;Preis;Paid;Note"], csv)),
      headerLines: 1,
      brokenLines: [],
      time: "Date",
    },
    {
      path: await write("customers.csv", lines(["customer_id,mail,updated_at"], customers)),
      headerLines: 1,
      brokenLines: [],
      time: "updated_at",
    },
    { path: await write("visits.ndjson", lines([], ndjson)), headerLines: 0, brokenLines: [], time: "at" },
    {
      path: await write("app.log", lines([], [...logfmt, "gone"])),
      headerLines: 0,
      brokenLines: [251],
      time: "time",
    },
    {
      path: await write("prices.parquet", new Uint8Array(parquet)),
      records: rows.length,
      headerLines: 0,
      brokenLines: [],
      time: "at",
    },
  ];
}

async function initAndLoad(journey: JourneyStack, file: InitCase): Promise<void> {
  const { stack, bus, folder } = journey;
  const project = join(folder, `${basename(file.path)}.ts`);
  const written = await ml(journey, ["init", "--from", file.path, "--out", project]);
  assertEquals(written.code, 0, written.said);
  assertStringIncludes(written.said, `event time: ${file.time};`);
  const source = /--source (\S+)/.exec(written.said)?.[1] ?? "";

  const applied = await ml(journey, ["apply", project]);
  assertEquals(applied.code, 0, applied.said);
  const again = await ml(journey, ["apply", project, "--plan"]);
  assertStringIncludes(again.said, "Plan: 0 to create, 0 to change");

  const { url } = stack.services.get("data-ingestion")!;
  const loaded = await ml(journey, ["load", file.path, "--source", source, "--url", url]);
  assertEquals(loaded.code, file.brokenLines.length === 0 ? 0 : 1, loaded.said);

  const lines = file.records ?? await countLines(file.path) - file.headerLines;
  const broken = file.brokenLines.length;
  const { sources: [row] } = await call(bus, ledger, { source });
  assertEquals(row, {
    source,
    accepted: lines,
    pending: 0,
    stored: lines - broken,
    rejected: broken,
    duplicates: 0,
    deadLettered: 0,
    balanced: true,
  });
  const rejects = await call(bus, rejected, { source });
  assertEquals(rejects.rejected.map((record) => record.file?.line), [...file.brokenLines]);

  await eventually(async () => {
    const { sources: [cleaned] } = await call(bus, counts, { source });
    assert(cleaned !== undefined);
    const { received, clean, filtered, quarantined, duplicates, held } = cleaned;
    assertEquals({ received, clean, filtered, quarantined, duplicates, held }, {
      received: lines - broken,
      clean: lines - broken,
      filtered: 0,
      quarantined: 0,
      duplicates: 0,
      held: 0,
    });
  }, { timeoutMs: CLEANED_WITHIN_MS });
}

/** `deno task ml ...` as a process, as a user runs it. */
async function ml({ stack }: JourneyStack, args: readonly string[]): Promise<{ code: number; said: string }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["task", "ml", ...args],
    cwd: ROOT,
    env: { NATS_URL: stack.natsUrl, NO_COLOR: "1" },
  }).output();
  const decoder = new TextDecoder();
  return { code, said: decoder.decode(stdout) + decoder.decode(stderr) };
}

/** As `wc -l` counts. */
async function countLines(path: string): Promise<number> {
  const bytes = await Deno.readFile(path);
  const text = path.endsWith(".gz") ? gunzipSync(bytes) : bytes;
  return text.reduce((lines, byte) => byte === 10 ? lines + 1 : lines, 0);
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
