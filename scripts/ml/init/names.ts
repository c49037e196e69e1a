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

const TIME_NAME =
  /(?:^|_)(?:time|date|datetime|timestamp|ts|at|when)$|(?:^|_)(?:updated|modified|changed|valid_from|since)(?:_|$)/;
/** Of the time from which on a thing is as the record says. */
const STATE_TIME_NAME = /(?:^|_)(?:updated|modified|changed|valid_from|since|as_of)(?:_|$)/;
const ID_NAME = /(?:^|_)(?:id|uuid|guid|key|no|nr|number)$/;
/** Integers whose size says nothing. */
const CODE_NAME = /(?:^|_)(?:id|uuid|guid|key|no|nr|number|code|sku|zip|phone)$/;
const KEY_NAME = /(?:^|_)(?:id|uuid|guid|key|no|nr|number|code|sku)$/;

/** Of names in snake case: whether a field that is called so may hold a time, ... */
export const isTimeName = (name: string): boolean => TIME_NAME.test(name);
/** ... the time since when something is so, ... */
export const isStateTimeName = (name: string): boolean => STATE_TIME_NAME.test(name);
/** ... may name a record alone, ... */
export const isIdName = (name: string): boolean => ID_NAME.test(name);
/** ... or together with others, ... */
export const isKeyName = (name: string): boolean => KEY_NAME.test(name);
/** ... or holds numbers that are names rather than amounts. */
export const isCodeName = (name: string): boolean => CODE_NAME.test(name);

/** Whether a field names the things that a source is called after: `id`, or `product_id` of `products`. */
export function namesThingsOf(source: string, field: string): boolean {
  const thing = field.replace(/_?(?:id|uuid|guid|key|no|nr|number|code|sku)$/, "");
  if (thing === "") return true;
  return [thing, `${thing}s`, `${thing}es`, thing.replace(/y$/, "ies")].some((word) =>
    source === word || source.endsWith(`_${word}`)
  );
}
