const encoder = new TextEncoder();

/**
 * By the bytes of UTF-8, as PostgreSQL orders keys and ids (`collate "C"`): not by UTF-16, as `<` does.
 *
 * @returns negative, 0 or positive
 */
export function compareText(a: string, b: string): number {
  if (a === b) return 0;
  if (isPlain(a) && isPlain(b)) return a < b ? -1 : 1;
  const [left, right] = [encoder.encode(a), encoder.encode(b)];
  const length = Math.min(left.length, right.length);
  for (let index = 0; index < length; index++) {
    if (left[index] !== right[index]) return left[index]! - right[index]!;
  }
  return left.length - right.length;
}

/** Without surrogates the two orders are one. */
function isPlain(text: string): boolean {
  return !/[\ud800-\udfff]/.test(text);
}
