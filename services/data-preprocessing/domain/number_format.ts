import { refuseUnknownLocale } from "shared/time_formats/locale.ts";

/** Numbers as a locale writes them. */
export interface NumberFormat {
  /** A number as the locale writes it. */
  readonly example: string;
  /** @returns the number, or `undefined` when the text is not one */
  read(text: string): number | undefined;
}

/** Marks of the direction of writing, which some locales put around a sign. */
const DIRECTION_MARKS = /[\u061c\u200e\u200f]/g;
const MINUS_SIGNS = /^[-\u2212]/;
/** Spaces between groups: ordinary, no-break, thin and narrow no-break are all in use for the same. */
const SPACES = /[ \u00a0\u2009\u202f]/g;
const APOSTROPHES = /[\u2019\u02bc]/g;
const PLAIN = /^[\x21-\x7e]*$/;

/**
 * Compiles the separators, digits and signs of a locale. Grouping may be left out; where it stands it must be right,
 * so that `1.5` is no number in German. Currencies, percent signs and exponents are refused.
 *
 * @param locale BCP 47
 * @throws {AppError} `invalid` when the locale is not known
 */
export function compileNumberFormat(locale: string): NumberFormat {
  refuseUnknownLocale(locale);
  const format = new Intl.NumberFormat(locale, { useGrouping: true, maximumFractionDigits: 1 });
  const parts = format.formatToParts(123_456_789_012.5);
  const partOf = (type: Intl.NumberFormatPartTypes) => parts.find((part) => part.type === type)?.value;
  const integers = parts.filter(({ type }) => type === "integer").map(({ value }) => value);
  const group = canonical(partOf("group") ?? "");
  const pattern = numberPattern({
    group,
    decimal: partOf("decimal") ?? ".",
    last: [...integers.at(-1) ?? ""].length,
    // Twelve digits have at least two groups besides the first, which may be shorter than the others.
    others: [...integers.at(-2) ?? ""].length,
  });
  const digits = localDigits(format);
  return {
    example: format.format(1_234_567.5),
    read(text) {
      const written = canonical(text.trim());
      const number = pattern.exec(digits === undefined ? written : digits(written));
      if (number === null) return undefined;
      const [, sign = "", whole = "", fraction = ""] = number;
      const value = Number(`${group === "" ? whole : whole.replaceAll(group, "")}.${fraction}`);
      if (!Number.isFinite(value)) return undefined;
      return sign === "-" ? -value : value;
    },
  };
}

/** One spelling for what is written in several ways. */
function canonical(text: string): string {
  if (PLAIN.test(text)) return text;
  return text.replace(DIRECTION_MARKS, "").replace(MINUS_SIGNS, "-").replace(SPACES, " ").replace(
    APOSTROPHES,
    "'",
  );
}

/** Takes linear time: no two of its parts can take the same characters in more than one way. */
function numberPattern(
  { group, decimal, last, others }: { group: string; decimal: string; last: number; others: number },
): RegExp {
  const separator = escaped(group);
  const grouped = `\\d{1,${others}}(?:${separator}\\d{${others}})*${separator}\\d{${last}}`;
  const whole = group === "" ? "\\d+" : `${grouped}|\\d+`;
  const point = escaped(decimal);
  return new RegExp(`^([-+])?(${whole})?(?:${point}(\\d+))?$`);
}

function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
}

/** Turns a locale's own digits into those of ASCII; `undefined` where they are the same. */
function localDigits(format: Intl.NumberFormat): ((text: string) => string) | undefined {
  const { locale, numberingSystem } = format.resolvedOptions();
  if (numberingSystem === "latn") return undefined;
  const local = new Intl.NumberFormat(locale, { numberingSystem, useGrouping: false });
  const values = new Map(Array.from({ length: 10 }, (_, digit) => [local.format(digit), String(digit)]));
  return (text) => Array.from(text, (character) => values.get(character) ?? character).join("");
}
