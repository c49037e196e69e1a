/** Refuses deployments that could not be honoured, with every reason, before they are in force. @module */
import type { DeploymentBody } from "shared/contracts/model_serving.ts";
import type { Signature } from "shared/contracts/signature.ts";
import { AppError, type Reason } from "shared/errors.ts";
import { pointerToken } from "shared/reason_text.ts";
import { invalidInput } from "shared/validation.ts";
import { takesDefaults } from "./features/read_features.ts";
import type { LiveModels } from "./live_models.ts";
import { answersAlike } from "./routing/alike.ts";
import { createRowChecker, type Tell, UNKNOWN } from "./validation/row_checker.ts";

export interface DeploymentCheckDeps {
  models: Pick<LiveModels, "prove">;
  /** The signature of the version that an alias points to, in memory or not; `undefined` when it points to none. */
  signatureOf: (model: string, alias: string) => Promise<Signature | undefined>;
  /** The key parts of an entity, as the feature store has it; `undefined` when it has none of this name. */
  entityKeys: (entity: string) => Promise<readonly string[] | undefined>;
}

/**
 * A champion alone may wait for its first version. Where there are other arms or shadows, every alias must point to a
 * version that is admitted and answers in the same way. Defaults must be values of the versions' features, of all that may
 * not be missing where nothing else stands for them, and entities must have the key parts that assign them.
 */
export function createDeploymentCheck({ models, signatureOf, entityKeys }: DeploymentCheckDeps) {
  return async (model: string, body: DeploymentBody): Promise<void> => {
    const arms = Object.entries(body.arms ?? {}).map(([name, { alias }]) => ({
      path: `/arms/${name}`,
      alias,
    }));
    const shadows = Object.entries(body.shadows).map(([name, { alias }]) => ({
      path: `/shadows/${name}`,
      alias,
    }));
    if (arms.length <= 1 && shadows.length === 0) {
      const signature = await signatureOf(model, body.alias);
      return refuse(model, signature === undefined ? [] : await mistakesFor([signature], body));
    }
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
    const signatures = signature === undefined ? [] : [signature];
    for (const other of others) {
      const its = await prove(other);
      if (its !== undefined) signatures.push(its);
      if (signature !== undefined && its !== undefined && !answersAlike(signature, its)) {
        reasons.push({
          path: `${other.path}/alias`,
          message: `"${other.alias}": answers otherwise than the champion`,
        });
      }
    }
    if (signature !== undefined) reasons.push(...await mistakesFor(signatures, body));
    refuse(model, reasons);
  };

  /** @param signatures the champion's first */
  async function mistakesFor(signatures: readonly Signature[], body: DeploymentBody): Promise<Reason[]> {
    return [...wrongDefaults(body, signatures), ...await missingParts(body, signatures[0]!)];
  }

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

function refuse(model: string, reasons: readonly Reason[]): void {
  if (reasons.length > 0) throw invalidInput(`put the deployment "${model}"`, reasons);
}

/**
 * What a row of the defaults alone would be refused for. Features without one count where defaults may have to stand for
 * all of them.
 */
function wrongDefaults({ features, input }: DeploymentBody, signatures: readonly Signature[]): Reason[] {
  const { defaults } = features;
  const pathOf = (name: string) => `/features/defaults/${pointerToken(name)}`;
  const known = new Set<string>(signatures.flatMap(({ inputs }) => inputs.map(({ name }) => name)));
  const reasons: Reason[] = Object.keys(defaults).filter((name) => !known.has(name))
    .map((name) => ({ path: pathOf(name), message: UNKNOWN }));
  const tell: Tell = (_row, name, message) => ({
    path: pathOf(name),
    message: Object.hasOwn(defaults, name) ? message : NEEDED,
  });
  for (const signature of signatures) {
    try {
      const row = signature.inputs.map(({ name }) => defaults[name] ?? null);
      createRowChecker(signature, input).matrix(row, 1, tell);
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      reasons.push(...error.reasons.filter(({ message }) => message !== NEEDED || takesDefaults(features)));
    }
  }
  // Versions that ask alike have the same mistakes.
  return [...new Map(reasons.map((reason) => [reason.path, reason])).values()];
}

const NEEDED =
  "is missing: defaults stand for features that do not come, and the model refuses to go without";
