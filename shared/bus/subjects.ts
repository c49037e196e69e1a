/**
 * Whether a subject is one of those that a filter takes: `*` stands for one token, `>` at the end for one or more.
 *
 * @module
 */
export function isTakenBy(filter: string, subject: string): boolean {
  const wanted = filter.split(".");
  const tokens = subject.split(".");
  const open = wanted.at(-1) === ">";
  if (open ? tokens.length < wanted.length : tokens.length !== wanted.length) return false;
  return wanted.every((token, index) => token === ">" || token === "*" || token === tokens[index]);
}
