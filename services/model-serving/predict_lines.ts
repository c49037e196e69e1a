/** Lines of a batch -> calls of the use case, and back. @module */
import type { CallContext } from "shared/contracts/endpoint.ts";
import type { LineQuestion } from "shared/contracts/model_serving/predict_line.ts";
import { inTheLine } from "./call_parts.ts";
import type { Predict } from "./predict.ts";
import type { AsksAgain, Question } from "./predict_call.ts";
import { rowText, timesText } from "./predict_endpoint.ts";

/** Asks lines of one kind, T and key, explained or not, in one call. They run behind the callers who wait for one answer each. */
export const createLineAnswers = (predict: Predict) =>
async (
  model: string,
  lines: readonly LineQuestion[],
  { context, asksAgain }: { context: CallContext; asksAgain: AsksAgain },
) => {
  const { asOf, key, explain } = lines[0]!;
  const question = toQuestion(lines);
  const call = { model, asOf, key, explain, priority: "low" as const, question, asksAgain };
  const answers: string[] = [];
  const parts = await predict.parts(call, context).catch((error) => {
    throw lines.length === 1 ? inTheLine(error) : error;
  });
  for (const { prediction, positions } of parts) {
    const { arm, at, served, times } = prediction;
    const shared = `"model":"${model}","version":${served.entry.version},"arm":"${arm}","at":${
      JSON.stringify(at)
    },"times":${timesText(times)}`;
    prediction.ids.forEach((_, row) => {
      answers[positions?.[row] ?? row] = `${rowText(prediction, row)},${shared}`;
    });
  }
  return answers;
};

function toQuestion(lines: readonly LineQuestion[]): Question {
  if ("entity" in lines[0]!) {
    const asked = lines as readonly Extract<LineQuestion, { entity: unknown }>[];
    const given = asked.some(({ features }) => features !== undefined)
      ? asked.map(({ features = {} }) => features)
      : undefined;
    const request = asked.some(({ request }) => request !== undefined)
      ? asked.map(({ request = {} }) => request)
      : undefined;
    return { entities: asked.map(({ entity }) => entity), given, request };
  }
  const rows = lines.map((line) => (line as Extract<LineQuestion, { row: unknown }>).row);
  return { rows: rows.length, check: (checker) => checker.rows(rows) };
}
