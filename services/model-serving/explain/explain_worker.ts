/** The thread that explains answers. @module */
import type { ModelBatch } from "shared/onnx/model_batch.ts";
import type { Explainer } from "shared/explain/explainer.ts";
import { answerCalls } from "shared/worker_call.ts";
import type { RowExplanation } from "./explain_rows.ts";

export interface ExplainTask {
  /** Of the version's file. */
  sha256: string;
  /** Needed until the thread has explained something of it. */
  file?: Uint8Array;
  batch: ModelBatch;
  outputs: Float32Array;
}

const explainers = new Map<string, Explainer>();

answerCalls<ExplainTask, RowExplanation[]>(async ({ sha256, file, batch, outputs }) => {
  const [{ createExplainer }, { explainRows }] = await Promise.all([
    import("shared/explain/explainer.ts"),
    import("./explain_rows.ts"),
  ]);
  const explainer = explainers.get(sha256) ?? createExplainer(file!);
  explainers.set(sha256, explainer);
  return { output: explainRows(explainer, batch, outputs) };
});
