/** The use case of the service: features, model, answer, log. @module */
import { v7 as uuidv7 } from "uuid";
import type { z } from "zod";
import type { CallContext, ReplyOf, RequestOf } from "shared/contracts/endpoint.ts";
import type * as features from "shared/contracts/feature_store.ts";
import type { DeploymentBody, predict as contract } from "shared/contracts/model_serving.ts";
import { durationToMs, toInstant } from "shared/contracts/time.ts";
import { AppError, messageOf } from "shared/errors.ts";
import { isInfrastructureError } from "shared/infrastructure_error.ts";
import { type FeatureRow, toRows, toTensor } from "./domain.ts";
import type { LiveModels } from "./live_models.ts";
import type { LogEntry } from "./prediction_log.ts";
import type { ServedVersion } from "./runtime.ts";

type Request = RequestOf<typeof contract>;
type Reply = ReplyOf<typeof contract>;
type Statuses = Record<string, z.infer<typeof features.featureStatusSchema>>;

export interface PredictDeps {
  models: LiveModels;
  /** Reads features online. */
  readFeatures: (
    request: z.input<typeof features.online.spec.request>,
    options: { timeoutMs: number; traceparent?: string },
  ) => Promise<z.infer<typeof features.online.spec.reply>>;
  appendToLog: (entries: readonly LogEntry[]) => void;
  now?: () => number;
}

/** What the model is asked: rows in order, with where they come from. */
interface Question {
  rows: FeatureRow[];
  statuses: Statuses[] | undefined;
  at: string | null;
  position: number | null;
}

export function createPredict({ models, readFeatures, appendToLog, now = Date.now }: PredictDeps) {
  return (request: Request, context: CallContext): Promise<Reply> =>
    models.use(request.model, async (served, deployment) => {
      const startedMs = now();
      const servedAt = toInstant(startedMs);
      const size = (request.entities ?? request.rows ?? []).length;
      const ids = Array.from({ length: size }, () => uuidv7());
      let question: Question | undefined;

      const log = (outcome: (index: number) => Pick<LogEntry["record"], "outcome" | "error" | "output">) =>
        appendToLog(ids.map((id, index) => ({
          id,
          at: question?.at ?? request.asOf ?? servedAt,
          traceparent: context.traceparent,
          record: {
            project: served.entry.project,
            model: request.model,
            version: served.entry.version,
            arm: deployment.alias,
            ...outcome(index),
            entity: request.entities?.[index] ?? null,
            features: completed(question?.rows[index]),
            position: question?.position ?? null,
            latencyMs: now() - startedMs,
            servedAt,
          },
        })));

      try {
        question = await ask(request, context, { served, deployment });
        const tensor = toTensor(served.signature, question.rows);
        const outputs = await served.model.predict(tensor.values, tensor.rows);
        log((index) => ({ outcome: "ok", error: null, output: outputs[index]! }));
        return answer(request, { served, deployment, question, outputs, ids });
      } catch (error) {
        log(() => ({ outcome: "error", error: messageOf(error), output: null }));
        throw error;
      }
    });

  async function ask(
    request: Request,
    context: CallContext,
    { served, deployment }: { served: ServedVersion; deployment: DeploymentBody },
  ): Promise<Question> {
    if (request.rows) {
      return { rows: request.rows, statuses: undefined, at: request.asOf ?? null, position: null };
    }
    const entities = request.entities ?? [];
    const names = served.signature.inputs.map(({ name }) => name);
    try {
      const read = await readFeatures({
        features: {
          service: served.signature.featureService.name,
          version: served.signature.featureService.version,
        },
        entities,
        ...(request.asOf === undefined ? {} : { asOf: request.asOf }),
      }, {
        timeoutMs: durationToMs(deployment.features.deadline),
        ...(context.traceparent === undefined ? {} : { traceparent: context.traceparent }),
      });
      return {
        rows: toRows(read.features, read.rows),
        statuses: read.rows.map(({ statuses }) =>
          Object.fromEntries(read.features.map((name, index) => [name, statuses[index]!]))
        ),
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
      const missing = Object.fromEntries(names.map((name) => [name, null]));
      return {
        rows: entities.map(() => missing),
        statuses: undefined,
        at: request.asOf ?? null,
        position: null,
      };
    }
  }
}

function answer(
  request: Request,
  { served, deployment, question, outputs, ids }: {
    served: ServedVersion;
    deployment: DeploymentBody;
    question: Question;
    outputs: Float32Array;
    ids: readonly string[];
  },
): Reply {
  return {
    model: request.model,
    version: served.entry.version,
    arm: deployment.alias,
    at: question.at,
    predictions: question.rows.map((row, index) => {
      const entity = request.entities?.[index];
      const statuses = question.statuses?.[index];
      return {
        id: ids[index]!,
        output: outputs[index]!,
        features: completed(row),
        ...(entity === undefined ? {} : { entity }),
        ...(statuses === undefined ? {} : { statuses }),
      };
    }),
  };
}

/** A row in which what is missing is null. */
function completed(row: FeatureRow = {}) {
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, value ?? null]));
}
