import type { ByteReader, ByteWriter } from "./bytes.ts";

/** So many different values are counted exactly. */
export const EXACT_DISTINCT = 256;

const INDEX_BITS = 12;
const REGISTERS = 2 ** INDEX_BITS;
/** A hash has 53 bits; the others count leading zeros. */
const RANK_BITS = 53 - INDEX_BITS;
const HIGH_BITS = 21;
const LOW_RANK_BITS = 32 - INDEX_BITS;

/**
 * How many different values there are, by their hashes: exact up to {@link EXACT_DISTINCT}, then HyperLogLog (Flajolet,
 * Fusy, Gandouet and Meunier, 2007) with 4,096 registers, that is 1.6% standard error, and the estimator of Ertl (2017,
 * arXiv:1702.01284), which needs no correction for small or large sets. Merging is associative and commutative.
 */
export class DistinctCounter {
  #hashes: Set<number> | undefined = new Set();
  /** The largest rank of each register; there once the set is not. */
  #ranks: Uint8Array = new Uint8Array();

  /** @param hash of shared/statistics/hash.ts */
  add(hash: number): void {
    if (this.#hashes === undefined) {
      this.#keepRank(hash);
      return;
    }
    this.#hashes.add(hash);
    if (this.#hashes.size > EXACT_DISTINCT) this.#estimateFromNowOn();
  }

  merge(other: DistinctCounter): void {
    if (other.#hashes !== undefined) {
      for (const hash of other.#hashes) this.add(hash);
      return;
    }
    this.#estimateFromNowOn();
    for (let i = 0; i < REGISTERS; i++) {
      if (other.#ranks[i]! > this.#ranks[i]!) this.#ranks[i] = other.#ranks[i]!;
    }
  }

  count(): number {
    return this.#hashes?.size ?? Math.round(estimate(this.#ranks));
  }

  write(to: ByteWriter): void {
    to.byte(this.#hashes === undefined ? 1 : 0);
    if (this.#hashes === undefined) {
      writeRanks(to, this.#ranks);
      return;
    }
    to.count(this.#hashes.size);
    for (const hash of this.#hashes) {
      to.count(hash);
    }
  }

  static read(from: ByteReader): DistinctCounter {
    const counter = new DistinctCounter();
    if (from.byte() === 1) {
      counter.#hashes = undefined;
      counter.#ranks = readRanks(from);
    } else {
      for (let left = from.count(); left > 0; left--) counter.#hashes!.add(from.count());
    }
    return counter;
  }

  #estimateFromNowOn(): void {
    const hashes = this.#hashes;
    if (hashes === undefined) return;
    this.#hashes = undefined;
    this.#ranks = new Uint8Array(REGISTERS);
    for (const hash of hashes) this.#keepRank(hash);
  }

  #keepRank(hash: number): void {
    const low = hash >>> 0;
    const high = (hash - low) / 2 ** 32;
    const zeros = high !== 0
      ? Math.clz32(high) - (32 - HIGH_BITS)
      : HIGH_BITS + Math.min(Math.clz32(low >>> INDEX_BITS) - (32 - LOW_RANK_BITS), LOW_RANK_BITS);
    const register = low % REGISTERS;
    if (zeros + 1 > this.#ranks[register]!) this.#ranks[register] = zeros + 1;
  }
}

/** As pairs of gap and rank where few registers are in use, else as they are. */
const MAX_PAIRS = REGISTERS / 3;

function writeRanks(to: ByteWriter, ranks: Uint8Array): void {
  const used = ranks.reduce((sum, rank) => sum + (rank > 0 ? 1 : 0), 0);
  if (used > MAX_PAIRS) {
    to.count(0);
    to.bytes(ranks);
    return;
  }
  to.count(used);
  let previous = 0;
  ranks.forEach((rank, register) => {
    if (rank === 0) return;
    to.count(register - previous);
    to.byte(rank);
    previous = register;
  });
}

function readRanks(from: ByteReader): Uint8Array {
  const used = from.count();
  if (used === 0) return from.bytes().slice();
  const ranks = new Uint8Array(REGISTERS);
  let register = 0;
  for (let left = used; left > 0; left--) {
    register += from.count();
    ranks[register] = from.byte();
  }
  return ranks;
}

function estimate(ranks: Uint8Array): number {
  const registersOfRank = new Uint32Array(RANK_BITS + 2);
  for (const rank of ranks) registersOfRank[rank]!++;
  let sum = REGISTERS * tau(1 - registersOfRank[RANK_BITS + 1]! / REGISTERS);
  for (let rank = RANK_BITS; rank >= 1; rank--) sum = 0.5 * (sum + registersOfRank[rank]!);
  sum += REGISTERS * sigma(registersOfRank[0]! / REGISTERS);
  return REGISTERS * REGISTERS / (2 * Math.LN2 * sum);
}

/** x + the sum of x^(2^k) 2^(k-1) over k from 1 on: what the registers without any value weigh. */
function sigma(share: number): number {
  let power = share;
  let factor = 1;
  let sum = share;
  for (let before = NaN; sum !== before;) {
    power *= power;
    before = sum;
    sum += power * factor;
    factor *= 2;
  }
  return sum;
}

/** (1 - x - the sum of (1 - x^(2^-k))^2 2^-k over k from 1 on) / 3: what the registers of the largest rank weigh. */
function tau(share: number): number {
  if (share === 0 || share === 1) return 0;
  let root = share;
  let factor = 1;
  let sum = 1 - share;
  for (let before = NaN; sum !== before;) {
    root = Math.sqrt(root);
    before = sum;
    factor *= 0.5;
    sum -= (1 - root) ** 2 * factor;
  }
  return sum / 3;
}
