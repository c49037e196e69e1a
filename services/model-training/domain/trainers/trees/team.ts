/**
 * Threads that run one program together: each calls the same functions with the same arguments, does its share of every
 * loop, and waits for the others where it needs what they have written. All that they share lies in shared memory.
 *
 * @module
 */

/** A member's view of its team. */
export interface Team {
  /** Number of this member, from 0. */
  readonly rank: number;
  readonly size: number;
  /**
   * Waits until all members have come here. What they have written before can be read after it.
   *
   * @throws {TeamFailed} when another member has failed, and will never come
   */
  barrier(): void;
  /** This member's share of `count` things: [from, to). Shares follow each other in the order of the ranks. */
  share(count: number): [from: number, to: number];
}

export class TeamFailed extends Error {
  constructor() {
    super("Cannot go on: another thread of the team has failed");
  }
}

/** A team of one: nothing to wait for. */
export const ALONE: Team = { rank: 0, size: 1, barrier: () => {}, share: (count) => [0, count] };

/** Words of the memory that a team meets in. */
const ARRIVED = 0;
const GENERATION = 1;
const FAILED = 2;
export const TEAM_WORDS = 3;

/** Looks that are taken at the word before the thread sleeps: waking it takes longer than most waits do. */
const SPINS = 2_000;
/** A sleeping thread looks up this often for a failure whose call it may have missed. */
const NAP_MS = 100;

/** A member of a team that meets in `words`, {@link TEAM_WORDS} zeros of shared memory. */
export function joinTeam(words: Int32Array, rank: number, size: number): Team {
  if (size === 1) return ALONE;
  const check = () => {
    if (Atomics.load(words, FAILED) !== 0) throw new TeamFailed();
  };
  return {
    rank,
    size,
    barrier() {
      const generation = Atomics.load(words, GENERATION);
      if (Atomics.add(words, ARRIVED, 1) === size - 1) {
        Atomics.store(words, ARRIVED, 0);
        Atomics.add(words, GENERATION, 1);
        Atomics.notify(words, GENERATION);
        check();
        return;
      }
      let spins = 0;
      while (Atomics.load(words, GENERATION) === generation) {
        check();
        if (++spins > SPINS) Atomics.wait(words, GENERATION, generation, NAP_MS);
      }
    },
    share(count) {
      const edge = (member: number) => Math.floor(count / size * member);
      return [edge(rank), rank === size - 1 ? count : edge(rank + 1)];
    },
  };
}

/** Lets the others of a team fail too instead of waiting for this member. */
export function failTeam(words: Int32Array): void {
  Atomics.store(words, FAILED, 1);
  Atomics.notify(words, GENERATION);
}
