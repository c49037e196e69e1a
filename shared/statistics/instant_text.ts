const LENGTH = "2011-05-02T08:26:00.000Z".length;
const ZERO = 48;
const LETTER_T = 84;
const LETTER_Z = 90;

/**
 * Milliseconds since 1970 of a text in the platform's own form of instants; NaN for any other text. A fifth of what
 * `Date.parse` takes, and for every text of every record.
 */
export function epochMsOf(text: string): number {
  const mayBe = text.length === LENGTH && text.charCodeAt(10) === LETTER_T &&
    text.charCodeAt(LENGTH - 1) === LETTER_Z;
  if (!mayBe) return NaN;
  const year = digits(text, 0, 4);
  const month = digits(text, 5, 7);
  const day = digits(text, 8, 10);
  const hour = digits(text, 11, 13);
  const minute = digits(text, 14, 16);
  const second = digits(text, 17, 19);
  const millisecond = digits(text, 20, 23);
  const isTime = month >= 1 && month <= 12 && day >= 1 && day <= 31 && hour < 24 && minute < 60 &&
    second < 60;
  // Years before 100 are years of the last century to Date.UTC.
  return isTime && year >= 100 ? Date.UTC(year, month - 1, day, hour, minute, second, millisecond) : NaN;
}

/** NaN where one is no digit. */
function digits(text: string, from: number, to: number): number {
  let value = 0;
  for (let i = from; i < to; i++) {
    const digit = text.charCodeAt(i) - ZERO;
    if (digit < 0 || digit > 9) return NaN;
    value = 10 * value + digit;
  }
  return value;
}
