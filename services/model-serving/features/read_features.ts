/** The features of entities, within a deadline, and what stands for them when they do not come. @module */
import type { z } from "zod";
import type { CallContext } from "shared/contracts/endpoint.ts";
import type { Entity } from "shared/contracts/entity_key.ts";
import type { FeatureStatus, FeatureValue, online } from "shared/contracts/feature_store.ts";
import type { DeploymentBody } from "shared/contracts/model_serving.ts";
import type { Signature } from "shared/contracts/signature.ts";
import { durationToMs, type Instant } from "shared/contracts/time.ts";
import { AppError, messageOf } from "shared/errors.ts";
import { isInfrastructureError } from "shared/infrastructure_error.ts";

/** Asks the feature store. */
export type ReadOnline = (
  request: z.input<typeof online.spec.request>,
  options: { timeoutMs: number; traceparent?: string },
) => Promise<z.infer<typeof online.spec.reply>>;

/** What a call gives of its entities itself, by feature. */
export type GivenFeatures = Readonly<Record<string, unknown>>;

export interface EntityQuestion {
  entities: readonly Entity[];
  /** One for each entity. */
  given: readonly GivenFeatures[] | undefined;
  asOf: Instant | undefined;
}

/** Values in the order of the signature, one list an entity. */
export interface FeatureRead {
  rows: FeatureValue[][];
  /** By entity and then feature. */
  statuses: FeatureStatus[][] | undefined;
  /** T of the features. */
  at: Instant | null;
  /** CLEAN position of the answer. */
  position: number | null;
}

export type ReadFeatures = (
  question: EntityQuestion,
  of: { signature: Signature; deployment: DeploymentBody; context: CallContext },
) => Promise<FeatureRead>;

/** @throws {AppError} `unavailable` when they do not come and the deployment declares no fallback */
export function createReadFeatures(readOnline: ReadOnline): ReadFeatures {
  return async ({ entities, asOf }, { signature, deployment, context }) => {
    try {
      const read = await readOnline({
        features: { service: signature.featureService.name, version: signature.featureService.version },
        entities: [...entities],
        ...(asOf === undefined ? {} : { asOf }),
      }, {
        timeoutMs: durationToMs(deployment.features.deadline),
        ...(context.traceparent === undefined ? {} : { traceparent: context.traceparent }),
      });
      const order = signature.inputs.map(({ name }) => read.features.indexOf(name));
      return {
        rows: read.rows.map(({ values }) => order.map((index) => values[index] ?? null)),
        statuses: read.rows.map(({ statuses }) => order.map((index) => statuses[index] ?? "NOT_FOUND")),
        at: read.at,
        position: read.position,
      };
    } catch (error) {
      if (!isInfrastructureError(error)) throw error;
      if (deployment.features.fallback === "refuse") {
        throw new AppError("unavailable", `Cannot predict: the features did not come: ${messageOf(error)}`, {
          cause: error,
          retryAfter: 1,
        });
      }
      const missing = signature.inputs.map(() => null);
      return { rows: entities.map(() => missing), statuses: undefined, at: asOf ?? null, position: null };
    }
  };
}
