/** Values as TypeScript writes them. @module */

const IDENTIFIER = /^[A-Za-z_$][A-Za-z0-9_$]*$/;

/** A JSON value as a literal, on one line; `deno fmt` breaks it. */
export function literal(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).filter(([, item]) => item !== undefined)
    .map(([name, item]) => `${key(name)}: ${literal(item)}`);
  return entries.length === 0 ? "{}" : `{ ${entries.join(", ")} }`;
}

/** A name before its colon. */
export function key(name: string): string {
  return IDENTIFIER.test(name) ? name : JSON.stringify(name);
}

/** Room for a comment within its indentation. */
const COMMENT_CHARACTERS = 95;

/** A text as line comments: nothing in it can end a line. */
export function comment(text: string): string {
  return wrap(text, COMMENT_CHARACTERS).map((line) => `// ${line}`).join("\n");
}

/** Lines of whole words, of control characters and line ends none. */
export function wrap(text: string, characters: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(/[\s\p{Cc}]+/u)) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= characters) {
      lines[lines.length - 1] = `${last} ${word}`;
    } else lines.push(word);
  }
  return lines;
}
