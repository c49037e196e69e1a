/** Names made of what people call files and columns. @module */
import { NAME_PATTERN } from "shared/contracts/names.ts";
import { isUnusable } from "./file_facts.ts";

const FILE_ENDINGS = /(?:\.(?:csv|tsv|tab|ndjson|jsonl|json|parquet|log|txt))?(?:\.gz)?$/i;
const MOST_CHARACTERS = 63;

/** The name of a source, from that of its file: `2019-Oct.csv.gz` gives `data_2019_oct`. */
export function sourceNameOf(fileName: string): string {
  const words = snakeCase(fileName.replace(FILE_ENDINGS, ""));
  const name = (/^[a-z]/.test(words) ? words : `data_${words}`).slice(0, MOST_CHARACTERS).replace(/_+$/, "");
  return NAME_PATTERN.test(name) ? name : "data";
}

/** `CustomerID` gives `customer_id`, `income >50K` `income_50k`; empty where nothing of it can stand in a name. */
export function snakeCase(name: string): string {
  return name.normalize("NFKD").replace(/\p{M}/gu, "").replaceAll("\u00df", "ss")
    .replace(/([a-z0-9])([A-Z][a-z])/g, "$1_$2")
    .replace(/([a-z])([A-Z])/g, "$1_$2")
    .replace(/([A-Z])([A-Z][a-z])/g, "$1_$2")
    .toLowerCase().replace(/[^a-z0-9]+/g, "_").replace(/^_+|_+$/g, "");
}

/** A name for each field that an expression can use, no two of them the same. */
export function cleanNames(fields: Iterable<string>): Map<string, string> {
  const names = new Map<string, string>();
  const taken = new Set<string>();
  for (const field of fields) {
    const words = snakeCase(field);
    const plain = words === ""
      ? `field_${names.size + 1}`
      : /^[0-9]/.test(words) || isUnusable(words)
      ? `field_${words}`
      : words;
    let name = plain;
    for (let n = 2; taken.has(name); n++) name = `${plain}_${n}`;
    taken.add(name);
    names.set(field, name);
  }
  return names;
}
