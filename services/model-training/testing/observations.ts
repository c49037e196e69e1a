/** Weekly observations of customers, as the feature store would make them. @module */
import type { TrainingSetTable } from "shared/training_set_table.ts";
import { Random } from "../domain/random.ts";

export interface ObservationOptions {
  /** Ticks, from Monday 2026-01-05 on. */
  weeks: number;
  /** Default 60. */
  customers?: number;
  /** From this week on `orders.recency` is recorded the wrong way round; default: never. */
  driftsFrom?: number;
  /** The label of every row, instead of one that depends on the features. */
  label?: number;
}

const WEEK_MS = 7 * 86_400_000;
const FIRST_TICK = Date.UTC(2026, 0, 5);
/** Labels of the last two weeks are not settled yet. */
export const HORIZON_WEEKS = 2;

/**
 * `orders.recency` says a lot about the label, `orders.spend` (missing now and then) a little, `orders.noise` nothing.
 * Longer histories begin with the shorter ones.
 */
export function observe(
  { weeks, customers = 60, driftsFrom = Infinity, label }: ObservationOptions,
): TrainingSetTable {
  const random = new Random(7);
  const rows = weeks * customers;
  const column = () => new Float64Array(rows);
  const [times, labels, recency, spend, noise] = [column(), column(), column(), column(), column()];
  const entities: string[] = [];
  for (let row = 0; row < rows; row++) {
    const week = Math.floor(row / customers);
    const [isActive, size, luck] = [random.uniform() * 2 - 1, random.uniform() * 2 - 1, random.uniform()];
    const chance = 1 / (1 + Math.exp(-(4 * isActive + size)));
    entities.push(JSON.stringify([String(row % customers)]));
    times[row] = FIRST_TICK + week * WEEK_MS;
    recency[row] = week >= driftsFrom ? -isActive : isActive;
    spend[row] = random.uniform() < 0.1 ? NaN : size;
    noise[row] = random.uniform();
    const isSettled = week < weeks - HORIZON_WEEKS;
    labels[row] = isSettled ? label ?? (luck < chance ? 1 : 0) : NaN;
  }
  return {
    entities,
    times,
    labels,
    features: [
      { name: "orders.recency", values: recency },
      { name: "orders.spend", values: spend },
      { name: "orders.noise", values: noise },
    ],
  };
}
