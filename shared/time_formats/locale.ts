import { invalid, messageOf } from "../errors.ts";

/** @throws {AppError} `invalid` when the locale data has nothing on the locale: another one would be used silently */
export function refuseUnknownLocale(locale: string): void {
  let known: string[];
  try {
    known = Intl.NumberFormat.supportedLocalesOf([locale]);
  } catch (error) {
    throw invalid(`has the locale "${locale}", which is not one: ${messageOf(error)}`);
  }
  if (known.length === 0) {
    throw invalid(`has the locale "${locale}", which is not known: it must be one such as de-DE`);
  }
}
