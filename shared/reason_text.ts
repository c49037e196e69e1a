/** How places and values are written in the reasons that an error tells. @module */

/** A field's name within a JSON pointer (RFC 6901). */
export function pointerToken(field: string): string {
  return field.replaceAll("~", "~0").replaceAll("/", "~1");
}

/** A field of a record as a JSON pointer. */
export function pathOf(field: string): string {
  return `/${pointerToken(field)}`;
}

const MAX_LENGTH = 100;

/** A value as it may stand in a reason: JSON, cut after 100 characters. */
export function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length <= MAX_LENGTH ? text : `${text.slice(0, MAX_LENGTH - 3)}...`;
}
