/** Arrays as PostgreSQL writes them. @module */

/**
 * The text of an array, to be sent as `${arrayText(values)}::text::bigint[]`: a third of what it costs to have the
 * driver write the same.
 */
export function arrayText(values: readonly (string | number | null)[]): string {
  return `{${values.map(elementText).join(",")}}`;
}

function elementText(value: string | number | null): string {
  if (typeof value === "number") return String(value);
  if (value === null) return "NULL";
  return `"${/["\\]/.test(value) ? value.replaceAll(/["\\]/g, "\\$&") : value}"`;
}
