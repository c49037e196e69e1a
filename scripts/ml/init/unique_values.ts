import { hashText } from "shared/statistics/hash.ts";

/** So many values are compared: what is unique among them, and not followed to the end, is not called unique. */
const MOST_VALUES = 1_000_000;

/**
 * Whether no value comes twice. In the rare case that two values have one hash they count as the same, and what could
 * have named records does not.
 */
export class UniqueValues {
  #hashes: Set<number> | undefined = new Set();

  add(value: string): void {
    if (this.#hashes === undefined) return;
    const before = this.#hashes.size;
    this.#hashes.add(hashText(value));
    if (this.#hashes.size === before || before >= MOST_VALUES) this.#hashes = undefined;
  }

  get areUnique(): boolean {
    return this.#hashes !== undefined;
  }
}
