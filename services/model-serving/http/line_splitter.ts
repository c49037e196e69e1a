/** The lines of a body as it comes, in bounded memory. @module */

export interface Line {
  /** From 1; empty lines are counted and not told. */
  number: number;
  /** `undefined` when it was longer than the bound: what it held is passed over. */
  text: string | undefined;
}

/** Lines of at most `maxChars` characters, in the groups in which they came. */
export async function* splitLines(
  body: ReadableStream<Uint8Array>,
  maxChars: number,
): AsyncGenerator<Line[]> {
  let rest = "";
  let isTooLong = false;
  let number = 0;
  const take = (text: string): Line[] => {
    number++;
    const trimmed = text.trim();
    if (isTooLong || trimmed.length > maxChars) {
      isTooLong = false;
      return [{ number, text: undefined }];
    }
    return trimmed === "" ? [] : [{ number, text: trimmed }];
  };
  for await (
    const chunk of body.pipeThrough(new TextDecoderStream() as TransformStream<Uint8Array, string>)
  ) {
    const texts = (rest + chunk).split("\n");
    rest = texts.pop()!;
    const lines = texts.flatMap(take);
    if (rest.length > maxChars) {
      isTooLong = true;
      rest = "";
    }
    if (lines.length > 0) yield lines;
  }
  if (rest !== "" || isTooLong) {
    const lines = take(rest);
    if (lines.length > 0) yield lines;
  }
}
