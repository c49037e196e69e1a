/** What was seen of a field, in a line. @module */
import type { InferredField } from "./infer.ts";

const MOST_CHARACTERS = 90;
const SHOWN_VALUES = 3;
/** Up to here the count of different values is exact. */
const EXACT_DISTINCT = 256;

const numbers = new Intl.NumberFormat("en", { maximumFractionDigits: 4 });

export function count(value: number): string {
  return numbers.format(value);
}

/** `25.2% null`, but never `0.0%` where there are some, nor `100.0%` where there are not all. */
export function share(part: number, whole: number): string {
  const percent = part / whole * 100;
  if (percent > 0 && percent < 0.1) return "less than 0.1%";
  if (percent < 100 && percent > 99.9) return "more than 99.9%";
  return `${Number(percent.toFixed(1))}%`;
}

/** Such as `integer from -9,600 to 80,995; 672 different; never null`. */
export function describeField(field: InferredField, records: number): string {
  if (field.type === "empty") return "always null";
  const nulls = field.nulls === 0 ? "never null" : `${share(field.nulls, records)} null`;
  const said = [typeText(field), distinctText(field), nulls].filter((part) => part !== "").join("; ");
  return `${said}${examples(field, MOST_CHARACTERS - said.length)}`;
}

function typeText({ type, personal, fit, facts }: InferredField): string {
  if (personal !== undefined) return `${personal}es`.replace(/(number)es$/, "$1s");
  if (type === "nested") return "lists or objects";
  if (type === "text") return facts.shapes.areUuids ? "UUID" : "text";
  const name = fit?.reading.name.replace(/^an? /, "") ?? type;
  return fit?.min === undefined ? name : `${name} from ${end(fit.min)} to ${end(fit.max)}`;
}

function end(value: number | string | undefined): string {
  return typeof value === "number" ? count(value) : String(value).replace(/(?:T00:00:00)?[.]000Z$/, "");
}

function distinctText({ type, summary: { distinct } }: InferredField): string {
  if (type === "nested" || type === "boolean") return "";
  if (distinct === 1) return "always the same";
  return `${distinct > EXACT_DISTINCT ? "about " : ""}${count(distinct)} different`;
}

/** As many of the most frequent texts as there is room for. Numbers and times are known by their ends. */
function examples({ type, personal, summary }: InferredField, room: number): string {
  if (type !== "text" || personal !== undefined) return "";
  let text = "";
  for (const { value } of summary.top.slice(0, SHOWN_VALUES)) {
    const next = `${text === "" ? "; such as " : `${text}, `}${JSON.stringify(value)}`;
    if (next.length > room) break;
    text = next;
  }
  return text;
}
