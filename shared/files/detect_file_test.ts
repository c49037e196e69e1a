import { assertEquals } from "@std/assert";
import { detectFile } from "./detect_file.ts";

const detect = (name: string, head: string) => {
  const found = detectFile(name, new TextEncoder().encode(head));
  return found && [found.options.format, found.options.delimiter, found.gzip];
};

Deno.test("detectFile() goes by the name where that says it", () => {
  assertEquals(detect("orders.csv", "a,b\n1,2\n"), ["csv", ",", false]);
  assertEquals(detect("orders.CSV.gz", "a;b;c\n1;2,5;3\n"), ["csv", ";", true]);
  assertEquals(detect("orders.csv", "a;b\nbroken\nlines\n"), ["csv", ";", false]);
  assertEquals(detect("orders.csv", "one column\n1\n"), ["csv", ",", false]);
  assertEquals(detect("orders.tsv", "a,b\tc\n"), ["csv", "\t", false]);
  assertEquals(detect("orders.jsonl", ""), ["ndjson", ",", false]);
  assertEquals(detect("orders.parquet", ""), ["parquet", ",", false]);
  assertEquals(detect("access.log.gz", "a,b\n1,2\n"), ["lines", ",", true]);
});

Deno.test("detectFile() goes by the content where the name says nothing", () => {
  assertEquals(detect("orders", "PAR1\0\0"), ["parquet", ",", false]);
  assertEquals(detect("orders.log", '{"a":1}\n{"a":2}\n{"a":'), ["ndjson", ",", false]);
  assertEquals(detect("orders.dat", '"a|x"|b|c\n1|"2|3"|4\n5|6|7\n'), ["csv", "|", false]);
  assertEquals(detect("notes.txt", "some words, and more\nof them\n"), ["lines", ",", false]);
  assertEquals(detect("unknown.bin", "\u0001\u0002"), undefined);
  assertEquals(detect("empty", ""), undefined);
});
