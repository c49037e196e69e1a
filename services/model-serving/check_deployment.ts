/** Refuses deployments that could not be honoured, with every reason, before they are in force. @module */
import type { DeploymentBody } from "shared/contracts/model_serving.ts";
import type { Signature } from "shared/contracts/signature.ts";
import type { Reason } from "shared/errors.ts";
import { invalidInput } from "shared/validation.ts";
import type { LiveModels } from "./live_models.ts";
import { answersAlike } from "./routing/alike.ts";

export interface DeploymentCheckDeps {
  models: Pick<LiveModels, "prove">;
  /** The key parts of an entity, as the feature store has it; `undefined` when it has none of this name. */
  entityKeys: (entity: string) => Promise<readonly string[] | undefined>;
}

/**
 * A champion alone may wait for its first version. Where there are other arms or shadows, every alias must point to a
 * version that is admitted and answers in the same way, and entities must have the key parts that assign them.
 */
export function createDeploymentCheck({ models, entityKeys }: DeploymentCheckDeps) {
  return async (model: string, body: DeploymentBody): Promise<void> => {
    const arms = Object.entries(body.arms ?? {}).map(([name, { alias }]) => ({
      path: `/arms/${name}`,
      alias,
    }));
    const shadows = Object.entries(body.shadows).map(([name, { alias }]) => ({
      path: `/shadows/${name}`,
      alias,
    }));
    if (arms.length <= 1 && shadows.length === 0) return;
    const champion = arms.find(({ alias }) => alias === body.alias) ?? { path: "/alias", alias: body.alias };
    const others = [...arms, ...shadows].filter((one) => one !== champion);

    const reasons: Reason[] = [];
    const prove = async (
      { path, alias }: { path: string; alias: string },
    ): Promise<Signature | undefined> => {
      const proven = await models.prove(model, alias);
      if (!("reason" in proven)) return proven;
      reasons.push({
        path: path === "/alias" ? path : `${path}/alias`,
        message: `"${alias}": ${proven.reason}`,
      });
      return undefined;
    };
    // One after the other: each may take much memory while it is tried.
    const signature = await prove(champion);
    for (const other of others) {
      const its = await prove(other);
      if (signature !== undefined && its !== undefined && !answersAlike(signature, its)) {
        reasons.push({
          path: `${other.path}/alias`,
          message: `"${other.alias}": answers otherwise than the champion`,
        });
      }
    }
    if (signature !== undefined) {
      reasons.push(...unknownDefaults(body, signature), ...await missingParts(body, signature));
    }
    if (reasons.length > 0) throw invalidInput(`put the deployment "${model}"`, reasons);
  };

  async function missingParts({ sticky }: DeploymentBody, { entity }: Signature): Promise<Reason[]> {
    if (sticky?.parts === undefined) return [];
    const keys = await entityKeys(entity);
    return sticky.parts.filter((part) => keys?.includes(part) !== true).map((part) => ({
      path: "/sticky/parts",
      message: `"${part}" is no key part of the entity "${entity}": ${
        keys?.join(", ") ?? "there is no such entity"
      }`,
    }));
  }
}

function unknownDefaults({ features }: DeploymentBody, { inputs }: Signature): Reason[] {
  return Object.keys(features.defaults).filter((name) => inputs.every((input) => input.name !== name)).map((
    name,
  ) => ({
    path: `/features/defaults/${name}`,
    message: "is not a feature of the model",
  }));
}
