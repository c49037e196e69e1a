import type { ByteReader, ByteWriter } from "./bytes.ts";

/**
 * Count, extremes, mean and deviation of numbers, in one pass and mergeable: the sum with Neumaier's compensation (1974),
 * so that the mean of whole numbers is exact; the squares by Welford's update and, merged, by the pairwise formula of
 * Chan, Golub and LeVeque (1979).
 */
export class Moments {
  count = 0;
  min = Infinity;
  max = -Infinity;
  #sum = 0;
  /** What rounding took from the sum. */
  #lost = 0;
  /** Of Welford's update. */
  #mean = 0;
  /** Sum of the squared distances from the mean. */
  #squares = 0;

  add(value: number): void {
    this.count++;
    if (value < this.min) this.min = value;
    if (value > this.max) this.max = value;
    this.#addToSum(value);
    const distance = value - this.#mean;
    this.#mean += distance / this.count;
    this.#squares += distance * (value - this.#mean);
  }

  merge(other: Moments): void {
    if (other.count === 0) return;
    this.#addToSum(other.#sum);
    this.#lost += other.#lost;
    const count = this.count + other.count;
    const distance = other.#mean - this.#mean;
    this.#mean += distance * (other.count / count);
    this.#squares += other.#squares + distance * distance * (this.count * (other.count / count));
    this.count = count;
    this.min = Math.min(this.min, other.min);
    this.max = Math.max(this.max, other.max);
  }

  #addToSum(value: number): void {
    const sum = this.#sum + value;
    this.#lost += Math.abs(this.#sum) >= Math.abs(value) ? this.#sum - sum + value : value - sum + this.#sum;
    this.#sum = sum;
  }

  /** Within the extremes, also where numbers near 1e308 overflow on the way. */
  get mean(): number {
    const mean = (this.#sum + this.#lost) / this.count;
    if (Number.isFinite(mean)) return mean;
    return Number.isFinite(this.#mean) ? Math.min(Math.max(this.#mean, this.min), this.max) : this.min;
  }

  /** Of the sample (n - 1); 0 for one value. */
  get deviation(): number {
    if (this.count < 2) return 0;
    const deviation = Math.sqrt(this.#squares / (this.count - 1));
    // JSON has no word for what overflows.
    return Number.isFinite(deviation) ? deviation : Number.MAX_VALUE;
  }

  write(to: ByteWriter): void {
    to.count(this.count);
    if (this.count === 0) return;
    const values = [this.min, this.max, this.#sum, this.#lost, this.#mean, this.#squares];
    for (const value of values) to.double(value);
  }

  static read(from: ByteReader): Moments {
    const moments = new Moments();
    moments.count = from.count();
    if (moments.count === 0) return moments;
    moments.min = from.double();
    moments.max = from.double();
    moments.#sum = from.double();
    moments.#lost = from.double();
    moments.#mean = from.double();
    moments.#squares = from.double();
    return moments;
  }
}
