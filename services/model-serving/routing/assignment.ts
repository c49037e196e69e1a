/** Which arm a key is assigned to: the same one always, and another one only as far as weights move. Pure. @module */
import type { Entity } from "shared/contracts/entity_key.ts";
import { WEIGHT_BUCKETS } from "shared/contracts/model_serving.ts";
import { hashText } from "shared/statistics/hash.ts";

/** An arm's name and its share of the buckets. */
export interface WeightedArm {
  name: string;
  weight: number;
  /** What no other arm takes is the champion's. */
  champion: boolean;
}

/** The bucket of a key under a salt, evenly spread over [0, {@link WEIGHT_BUCKETS}). */
export function bucketOf(salt: string, key: string): number {
  return hashText(`${salt}\0${key}`) % WEIGHT_BUCKETS;
}

/**
 * The arm of each bucket, as an index into `arms`.
 *
 * Other arms than the champion are laid out by name, in turn from the two ends inwards, and the champion has what is
 * left between them. So an arm that is raised takes buckets of the champion alone and gives none up; with one or two
 * such arms nothing else moves. From the third on, those behind an arm on its side move by as much as it grows.
 */
export function layOut(arms: readonly WeightedArm[]): Uint32Array {
  const layout = new Uint32Array(WEIGHT_BUCKETS).fill(arms.findIndex(({ champion }) => champion));
  const others = arms.map((arm, index) => ({ ...arm, index })).filter(({ champion }) => !champion)
    .sort((a, b) => a.name < b.name ? -1 : 1);
  let left = 0;
  let right = WEIGHT_BUCKETS;
  others.forEach(({ weight, index }, place) => {
    const count = Math.round(weight * WEIGHT_BUCKETS);
    if (place % 2 === 0) layout.fill(index, left, left += count);
    else layout.fill(index, right -= count, right + count);
  });
  return layout;
}

/**
 * The key that an entity is assigned by: its parts as text, so that 17850 and "17850" are one.
 *
 * @param parts those that count, in their declared order; default: all, by name
 * @returns `undefined` when the entity lacks one of them
 */
export function entityAssignmentKey(entity: Entity, parts?: readonly string[]): string | undefined {
  const names = parts ?? Object.keys(entity).sort();
  if (names.length === 0 || names.some((name) => entity[name] === undefined)) return undefined;
  return names.length === 1
    ? String(entity[names[0]!])
    : JSON.stringify(names.map((name) => String(entity[name])));
}
