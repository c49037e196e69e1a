/** The features of entities, within a deadline, and what stands for them when they do not come. @module */
import type { CallContext } from "shared/contracts/endpoint.ts";
import type { Entity } from "shared/contracts/entity_key.ts";
import type { FeatureValue, RequestValues } from "shared/contracts/feature_store.ts";
import type {
  DeploymentBody,
  FeaturesFrom,
  FeaturesPolicy,
  ServedStatus,
} from "shared/contracts/model_serving.ts";
import type { Signature } from "shared/contracts/signature.ts";
import { durationToMs, type Instant } from "shared/contracts/time.ts";
import { AppError, messageOf, type Reason } from "shared/errors.ts";
import { isInfrastructureError } from "shared/infrastructure_error.ts";
import { pointerToken } from "shared/reason_text.ts";
import { invalidInput } from "shared/validation.ts";
import { createLastKnown, type LastKnown } from "./last_known.ts";
import type { LookUp } from "./lookups.ts";
import { UNKNOWN } from "../validation/row_checker.ts";

/** What a call gives of its entities itself, by feature; the row checker looks at it with what was looked up. */
export type GivenFeatures = Readonly<Record<string, unknown>>;

export interface EntityQuestion {
  entities: readonly Entity[];
  /** One for each entity. */
  given?: readonly GivenFeatures[] | undefined;
  /** One for each entity: what on-demand features read. */
  request?: readonly RequestValues[] | undefined;
}

export interface ReadOf {
  signature: Signature;
  deployment: Pick<DeploymentBody, "features" | "input">;
  context: CallContext;
  /** T; default: now by the project clock. */
  asOf?: Instant | undefined;
  /** How long the caller waits, by `performance.now()`. */
  deadline: number;
}

/** Row after row, each in the order of the signature. */
export interface FeatureRead {
  values: FeatureValue[];
  /** One list an entity. */
  statuses: ServedStatus[][];
  /** Event time of the newest record behind each value; one list an entity. */
  eventTimes: (Instant | null)[][];
  /** The least trusted of what the rows came from. */
  from: FeaturesFrom;
  /** T of the features; null when the feature store did not say. */
  at: Instant | null;
  /** CLEAN position of the answer, and what was visible to it. */
  position: number | null;
  snapshot: string | null;
}

export type ReadFeatures = (question: EntityQuestion, of: ReadOf) => Promise<FeatureRead>;

export interface ReadFeaturesDeps {
  lookUp: LookUp;
  lastKnown?: LastKnown;
  now?: () => number;
}

/**
 * @throws {AppError} `unavailable` when the features do not come and the deployment declares no fallback; `timeout` when
 * the caller waits no longer; `invalid` when the call gives features that it may not; whatever the feature store says of
 * the entities
 */
export function createReadFeatures(
  { lookUp, lastKnown = createLastKnown(), now = Date.now }: ReadFeaturesDeps,
): ReadFeatures {
  return async ({ entities, given, request }, { signature, deployment, context, asOf, deadline }) => {
    const { features: policy } = deployment;
    if (given !== undefined) refuseWrongGiven(given, { signature, deployment });
    const { name: service, version } = signature.featureService;
    const of = `${service}@${version}`;
    // What was read at a T, or with values, that the caller chose says nothing of others.
    const remembers = policy.fallback === "last_known" && asOf === undefined && request === undefined;
    let read: FeatureRead;
    try {
      const reply = await lookUp({
        service,
        version,
        entities,
        request,
        asOf,
        deadlineMs: Math.ceil(Math.min(durationToMs(policy.deadline), deadline - performance.now())),
        traceparent: context.traceparent,
      });
      const order = orderOf(signature, reply.features);
      const rows = reply.rows.map((row) => inOrder(row, order));
      if (remembers) {
        const readAt = now();
        entities.forEach((entity, index) =>
          lastKnown.remember(of, entity, { ...rows[index]!, readAt }, policy.lastKnown.entities)
        );
      }
      const { at, position, snapshot } = reply;
      read = join(rows, { from: "store", at, position, snapshot });
    } catch (error) {
      if (!isInfrastructureError(error) || performance.now() >= deadline) throw error;
      const notBefore = now() - durationToMs(policy.lastKnown.maxAge);
      const find = (entity: Entity) => remembers ? lastKnown.find(of, entity, notBefore) : undefined;
      read = fallBack(entities.map(find), { signature, policy, asOf, error });
    }
    if (given !== undefined) applyGiven(read, given, { signature, policy });
    return read;
  };
}

interface Row {
  values: readonly FeatureValue[];
  statuses: readonly ServedStatus[];
  eventTimes: readonly (Instant | null)[];
}

/** Where each input of the signature stands in the feature store's answer; `undefined` when they are the same. */
function orderOf({ inputs }: Signature, features: readonly string[]): number[] | undefined {
  if (inputs.length === features.length && inputs.every(({ name }, index) => features[index] === name)) {
    return undefined;
  }
  return inputs.map(({ name }) => features.indexOf(name));
}

function inOrder<R extends Row>(row: R, order: readonly number[] | undefined): R {
  if (order === undefined) return row;
  return {
    ...row,
    values: order.map((index) => row.values[index] ?? null),
    statuses: order.map((index) => row.statuses[index] ?? "NOT_FOUND"),
    eventTimes: order.map((index) => row.eventTimes[index] ?? null),
  };
}

const join = (
  rows: readonly Row[],
  more: Omit<FeatureRead, "values" | "statuses" | "eventTimes">,
): FeatureRead => ({
  values: rows.length === 1 ? [...rows[0]!.values] : rows.flatMap(({ values }) => values),
  statuses: rows.map(({ statuses }) => [...statuses]),
  eventTimes: rows.map(({ eventTimes }) => [...eventTimes]),
  ...more,
});

/** Whether defaults may stand for features that do not come. */
export const takesDefaults = ({ fallback, defaults }: FeaturesPolicy): boolean =>
  fallback === "defaults" || (fallback === "last_known" && Object.keys(defaults).length > 0);

/** What stands for features that did not come. */
function fallBack(
  known: readonly (Row | undefined)[],
  { signature, policy, asOf, error }: {
    signature: Signature;
    policy: FeaturesPolicy;
    asOf: Instant | undefined;
    error: unknown;
  },
): FeatureRead {
  const areUnknown = known.some((row) => row === undefined);
  if (policy.fallback === "refuse" || (areUnknown && !takesDefaults(policy))) {
    const detail = policy.fallback === "refuse" ? "" : ", and nothing is known of all of these entities";
    throw new AppError(
      "unavailable",
      `Cannot predict: the features did not come: ${messageOf(error)}${detail}`,
      { cause: error, retryAfter: 1 },
    );
  }
  const defaults: Row = {
    values: signature.inputs.map(({ name }) => policy.defaults[name] ?? null),
    statuses: signature.inputs.map(() => "DEFAULT"),
    eventTimes: signature.inputs.map(() => null),
  };
  return join(known.map((row) => row ?? defaults), {
    from: areUnknown ? "defaults" : "last_known",
    at: asOf ?? null,
    position: null,
    snapshot: null,
  });
}

function refuseWrongGiven(
  given: readonly GivenFeatures[],
  { signature, deployment }: { signature: Signature; deployment: Pick<DeploymentBody, "features" | "input"> },
): void {
  const known = new Set<string>(signature.inputs.map(({ name }) => name));
  const reasons: Reason[] = [];
  given.forEach((row, index) => {
    for (const name of Object.keys(row)) {
      const path = `/features/${index}/${pointerToken(name)}`;
      if (deployment.features.given === "refuse") {
        reasons.push({
          path,
          message: "may not be given: the deployment takes features from the feature store alone",
        });
      } else if (!known.has(name) && deployment.input.unknown === "refuse") {
        reasons.push({ path, message: UNKNOWN });
      }
    }
  });
  if (reasons.length > 0) throw invalidInput("predict", reasons);
}

/** What the caller gives goes before what was looked up, or fills what is missing there. */
function applyGiven(
  read: FeatureRead,
  given: readonly GivenFeatures[],
  { signature: { inputs }, policy }: { signature: Signature; policy: FeaturesPolicy },
): void {
  given.forEach((row, index) => {
    inputs.forEach(({ name }, column) => {
      const value = row[name];
      const at = index * inputs.length + column;
      if (value === undefined || (policy.given === "complete" && read.values[at] !== null)) return;
      read.values[at] = value as FeatureValue;
      read.statuses[index]![column] = "GIVEN";
      read.eventTimes[index]![column] = null;
    });
  });
}
