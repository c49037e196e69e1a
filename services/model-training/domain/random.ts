/**
 * The generator xoshiro128** by Blackman and Vigna (https://prng.di.unimi.it/), its state filled from the seed by
 * SplitMix32: the same seed gives the same numbers on every machine, which `Math.random` does not promise.
 */
export class Random {
  readonly #state = new Uint32Array(4);

  /** @param seed any integer; its lower 32 bits count */
  constructor(seed: number) {
    let next = seed >>> 0;
    for (let i = 0; i < 4; i++) {
      next = (next + 0x9e3779b9) >>> 0;
      let mixed = next;
      mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
      mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
      this.#state[i] = mixed ^ (mixed >>> 16);
    }
  }

  /** An integer in [0, 2^32). */
  uint32(): number {
    const state = this.#state;
    const s1 = state[1]!;
    const result = Math.imul(rotateLeft(Math.imul(s1, 5), 7), 9) >>> 0;
    state[2] = state[2]! ^ state[0]!;
    state[3] = state[3]! ^ s1;
    state[1] = s1 ^ state[2]!;
    state[0] = state[0]! ^ state[3]!;
    state[2] = state[2]! ^ (s1 << 9);
    state[3] = rotateLeft(state[3]!, 11);
    return result;
  }

  /** A number in [0, 1), in steps of 2^-32. */
  uniform(): number {
    return this.uint32() / 2 ** 32;
  }

  /** An integer in [0, bound), each equally likely; `bound` at most 2^32. */
  below(bound: number): number {
    // Numbers past the last whole multiple of the bound would make the small ones likelier.
    const limit = 2 ** 32 - (2 ** 32 % bound);
    let drawn = this.uint32();
    while (drawn >= limit) drawn = this.uint32();
    return drawn % bound;
  }

  /** `count` different integers of [0, bound), in ascending order. */
  sample(bound: number, count: number): Int32Array {
    const chosen = new Int32Array(count);
    let taken = 0;
    // Selection sampling (Knuth, The Art of Computer Programming, volume 2, 3.4.2, algorithm S).
    for (let candidate = 0; taken < count; candidate++) {
      if (this.below(bound - candidate) < count - taken) chosen[taken++] = candidate;
    }
    return chosen;
  }
}

const rotateLeft = (value: number, by: number) => ((value << by) | (value >>> (32 - by))) >>> 0;
