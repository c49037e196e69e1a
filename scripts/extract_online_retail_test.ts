import { assert, assertEquals } from "@std/assert";
import { gunzipSync } from "node:zlib";
import { extractOnlineRetail, keepsAnonymousDay, keepsCustomer } from "./extract_online_retail.ts";

const EXTRACT = new URL("../examples/online-retail/data/invoice_lines.csv.gz", import.meta.url);
const SOURCE = new URL("../../shared/data/online_retail_2010-12_2011-08.csv.gz", import.meta.url);

Deno.test("extractOnlineRetail() keeps every line when all of them belong to the extract", async () => {
  const committed = await Deno.readFile(EXTRACT);
  const { gzip, summary } = extractOnlineRetail(committed);
  assertEquals(gunzipSync(gzip).equals(gunzipSync(committed)), true);
  assertEquals([summary.lines, summary.anonymousLines, summary.customers, summary.cancelledLines], [
    111_913,
    8_522,
    1_403,
    2_490,
  ]);
  assert(committed.length <= 3_000_000, `the extract must stay within 3 MB, found ${committed.length} bytes`);
});

Deno.test("keepsCustomer() gives the same answer on every machine", () => {
  assertEquals(["13047.0", "17850.0"].map(keepsCustomer), [true, false]);
});

Deno.test("keepsAnonymousDay() keeps days 5, 12, 19 and 26 of a month", () => {
  const days = Array.from({ length: 31 }, (_, index) => index + 1);
  const kept = days.filter((day) => keepsAnonymousDay(`2011-08-${String(day).padStart(2, "0")} 14:50:00`));
  assertEquals(kept, [5, 12, 19, 26]);
});

Deno.test({
  name: "extractOnlineRetail() cuts the committed extract out of the source (skipped without ../shared/data)",
  ignore: !await exists(SOURCE),
  fn: async () => {
    const { gzip } = extractOnlineRetail(await Deno.readFile(SOURCE));
    assertEquals(gunzipSync(gzip).equals(gunzipSync(await Deno.readFile(EXTRACT))), true);
  },
});

async function exists(path: URL): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
