/** Whether the values of a field look like what belongs to a person, and had better not be stored as they are. @module */

export type PersonalData = "e-mail address" | "phone number" | "card number";

const EMAIL = /^[^\s@]+@[^\s@.]+(?:\.[^\s@.]+)+$/;
/** As people write them; without a plus in front many other numbers look so, and the field's name has to tell. */
const PHONE = /^\+?[\d\s()./-]{7,24}$/;
const INTERNATIONAL_PHONE = /^\+[\d\s()./-]{8,24}$/;
const PHONE_NAME = /(?:^|_)(?:phone|mobile|tel|telephone|cell|fax)(?:_|$)/;
const CARD = /^\d(?:[ -]?\d){12,18}$/;

/** So many of the values must look so ... */
const SHARE = 0.9;
/** ... and of numbers with a check digit, which a tenth of all numbers have by chance, at least so many. */
const ENOUGH_CARDS = 10;

/** Counts values by what they look like. */
export class PersonalShapes {
  #values = 0;
  #emails = 0;
  #phones = 0;
  #internationalPhones = 0;
  #cards = 0;

  add(text: string): void {
    this.#values++;
    if (text.includes("@")) this.#emails += Number(EMAIL.test(text));
    if (PHONE.test(text)) this.#phones++;
    if (INTERNATIONAL_PHONE.test(text)) this.#internationalPhones++;
    if (CARD.test(text) && hasCheckDigit(text)) this.#cards++;
  }

  /** @param name of the field, in snake case */
  kind(name: string): PersonalData | undefined {
    const most = Math.max(1, this.#values * SHARE);
    if (this.#emails >= most) return "e-mail address";
    if (this.#cards >= most && this.#cards >= ENOUGH_CARDS) return "card number";
    const phones = PHONE_NAME.test(name) ? this.#phones : this.#internationalPhones;
    return phones >= most ? "phone number" : undefined;
  }
}

/** Luhn's sum (ISO/IEC 7812-1, annex B). */
function hasCheckDigit(text: string): boolean {
  const digits = text.replace(/\D/g, "");
  let sum = 0;
  for (let index = 0; index < digits.length; index++) {
    const digit = Number(digits[digits.length - 1 - index]);
    const doubled = index % 2 === 1 ? digit * 2 : digit;
    sum += doubled > 9 ? doubled - 9 : doubled;
  }
  return sum % 10 === 0;
}
