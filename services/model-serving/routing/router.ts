/** Sends calls to arms: by key or by chance, within the arms' limits, around those that fail. @module */
import type { DeploymentBody, Limits, Reroute } from "shared/contracts/model_serving.ts";
import { WEIGHT_BUCKETS } from "shared/contracts/model_serving.ts";
import { unavailable } from "shared/errors.ts";
import { type ArmLimits, createArmLimits } from "./arm_limits.ts";
import { bucketOf, layOut } from "./assignment.ts";
import {
  type BreakerState,
  type CallOutcome,
  type CircuitBreaker,
  createCircuitBreaker,
} from "./circuit_breaker.ts";

/** Who may answer, with the state that lasts as long as the deployment is not changed. */
export interface Arm {
  readonly name: string;
  readonly alias: string;
  readonly weight: number;
  readonly champion: boolean;
}

/** A place in an arm; given back exactly once, by `done`. */
export interface Place {
  readonly arm: Arm;
  /** The arm that was assigned, where it is another one, and why. */
  readonly assigned: string | null;
  readonly rerouted: Reroute | null;
  /** `undefined`: the call failed by the caller's mistake, or never reached the model. */
  done(outcome: CallOutcome | undefined): void;
}

export interface Router {
  readonly arms: readonly Arm[];
  readonly champion: Arm;
  /** The arm of a key; without one by chance. */
  assign(key: string | undefined): Arm;
  /**
   * A place in the assigned arm, or in the champion where that arm has no version, is at its limit or is failing.
   *
   * @throws {AppError} `unavailable`, with Retry-After, when the arm that must answer is at its limit
   */
  enter(arm: Arm, rows: number): Place;
  /** A place in the champion for a call that the assigned arm failed to answer. */
  fallBack(from: Arm, rows: number): Place;
  breakerOf(arm: Arm): BreakerState;
  inFlight(arm: Arm): number;
}

export interface RouterOptions {
  model: string;
  /** Whether the alias has a version in memory that may answer in the champion's place. */
  hasVersion: (alias: string) => boolean;
  /** Milliseconds of a clock that never goes back. */
  now?: () => number;
  random?: () => number;
  onBreaker?: (arm: string, state: BreakerState) => void;
}

interface ArmState {
  arm: Arm;
  limits: ArmLimits;
  beyond: Limits["beyond"];
  breaker: CircuitBreaker | undefined;
}

/** The arms of a deployment: the one that it has without declaring any is the champion, named after its alias. */
export function armsOf({ alias, arms }: Pick<DeploymentBody, "alias" | "arms">): Arm[] {
  if (arms === undefined) return [{ name: alias, alias, weight: 1, champion: true }];
  return Object.entries(arms).map(([name, arm]) => ({
    name,
    alias: arm.alias,
    weight: arm.weight,
    champion: arm.alias === alias,
  }));
}

export function createRouter(deployment: DeploymentBody, options: RouterOptions): Router {
  const { model, hasVersion, now = () => performance.now(), random = Math.random, onBreaker = () => {} } =
    options;
  const arms = armsOf(deployment);
  const layout = layOut(arms);
  const salt = deployment.sticky?.salt ?? model;
  const states = new Map(arms.map((arm): [Arm, ArmState] => {
    const declared = deployment.arms?.[arm.name];
    return [arm, {
      arm,
      limits: createArmLimits(declared?.limits),
      beyond: arm.champion ? "refuse" : declared?.limits?.beyond ?? "champion",
      breaker: arm.champion || declared === undefined
        ? undefined
        : createCircuitBreaker(declared.breaker, (state) => onBreaker(arm.name, state)),
    }];
  }));
  const champion = arms.find((arm) => arm.champion)!;

  function placeIn(state: ArmState, from: Arm | undefined, rerouted: Reroute | null): Place {
    return {
      arm: state.arm,
      assigned: from?.name ?? null,
      rerouted,
      done(outcome) {
        state.limits.release();
        if (outcome === undefined) state.breaker?.cancel();
        else state.breaker?.record(outcome, now());
      },
    };
  }

  function enterChampion(rows: number, from: Arm | undefined, rerouted: Reroute | null): Place {
    const state = states.get(champion)!;
    if (!state.limits.take(rows, now)) throw atLimit(model, champion);
    return placeIn(state, from, rerouted);
  }

  return {
    arms,
    champion,
    assign(key) {
      if (arms.length === 1) return champion;
      const bucket = key === undefined ? Math.floor(random() * WEIGHT_BUCKETS) : bucketOf(salt, key);
      return arms[layout[bucket]!]!;
    },
    enter(arm, rows) {
      if (arm.champion) return enterChampion(rows, undefined, null);
      const state = states.get(arm)!;
      if (!hasVersion(arm.alias)) return enterChampion(rows, arm, "no_version");
      if (state.breaker?.allow(now()) === false) return enterChampion(rows, arm, "breaker");
      if (state.limits.take(rows, now)) return placeIn(state, undefined, null);
      state.breaker?.cancel();
      if (state.beyond === "refuse") throw atLimit(model, arm);
      return enterChampion(rows, arm, "limit");
    },
    fallBack: (from, rows) => enterChampion(rows, from, "error"),
    breakerOf: (arm) => states.get(arm)?.breaker?.state ?? "closed",
    inFlight: (arm) => states.get(arm)?.limits.inFlight ?? 0,
  };
}

const atLimit = (model: string, { name }: Arm) =>
  unavailable(`Cannot predict with "${model}": the arm "${name}" is at its limit`, { retryAfter: 1 });
