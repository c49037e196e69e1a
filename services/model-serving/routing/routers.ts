/** The routers of the deployments in force, each kept until its deployment changes. @module */
import type { DeploymentBody } from "shared/contracts/model_serving.ts";
import type { BreakerState } from "./circuit_breaker.ts";
import { createRouter, type Router } from "./router.ts";

export interface Routers {
  of(model: string): Router | undefined;
  /** Those of all deployments. */
  all(): Map<string, Router>;
}

export interface RoutersDeps {
  deployments: () => ReadonlyMap<string, DeploymentBody>;
  /** Whether the alias of the model has a version in memory that may answer in the champion's place. */
  hasVersion: (model: string, alias: string) => boolean;
  onBreaker?: (model: string, arm: string, state: BreakerState) => void;
}

export function createRouters({ deployments, hasVersion, onBreaker = () => {} }: RoutersDeps): Routers {
  const known = new Map<string, { body: DeploymentBody; router: Router }>();

  function of(model: string): Router | undefined {
    const body = deployments().get(model);
    if (body === undefined) {
      known.delete(model);
      return undefined;
    }
    const kept = known.get(model);
    if (kept?.body === body) return kept.router;
    const router = createRouter(body, {
      model,
      hasVersion: (alias) => hasVersion(model, alias),
      onBreaker: (arm, state) => onBreaker(model, arm, state),
    });
    known.set(model, { body, router });
    return router;
  }

  return { of, all: () => new Map([...deployments().keys()].map((model) => [model, of(model)!])) };
}

/** The aliases that a deployment needs in memory, the champion's first. */
export function aliasesOf({ alias, arms = {}, shadows }: DeploymentBody): string[] {
  const others = [...Object.values(arms), ...Object.values(shadows)].map((one) => one.alias);
  return [...new Set([alias, ...others])];
}
