/** Asking model-serving over HTTP, as an application does. @module */
import type { z } from "zod";
import { predict } from "shared/contracts/model_serving.ts";
import { DemoFailure } from "./checks.ts";
import { type Demo, MODEL } from "./demo_context.ts";

export type Prediction = z.infer<typeof predict.spec.reply>;

/** Customers a call. */
const AT_ONCE = 200;

export const predictUrl = ({ stack }: Pick<Demo, "stack">): string =>
  `${stack.services.get("model-serving")!.url}${predict.spec.http.path.replace("{model}", MODEL)}`;

/** What is sent for these customers: their features are looked up at the project's time. */
export const predictBody = (customers: readonly number[]): string =>
  JSON.stringify({ entities: customers.map((customer) => ({ customer_id: customer })) });

/** @throws {DemoFailure} for any other answer than 200 */
export async function askForPredictions(
  demo: Pick<Demo, "stack" | "predictions">,
  customers: readonly number[],
): Promise<Prediction> {
  const response = await fetch(predictUrl(demo), {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: predictBody(customers),
  });
  if (!response.ok) {
    throw new DemoFailure(
      `Cannot predict: model-serving answered ${response.status}: ${await response.text()}`,
    );
  }
  const reply: Prediction = await response.json();
  demo.predictions.add({ version: reply.version, at: reply.at, count: reply.predictions.length });
  return reply;
}

/** The probabilities for all of these customers, in their order. */
export async function predictAll(
  demo: Demo,
  customers: readonly number[],
): Promise<{ probabilities: number[]; versions: Set<number>; times: Set<string | null> }> {
  const probabilities: number[] = [];
  const versions = new Set<number>();
  const times = new Set<string | null>();
  for (let from = 0; from < customers.length; from += AT_ONCE) {
    const reply = await askForPredictions(demo, customers.slice(from, from + AT_ONCE));
    probabilities.push(...reply.predictions.map(({ output }) => output));
    versions.add(reply.version);
    times.add(reply.at);
    demo.screen.progress(`predicted ${probabilities.length} of ${customers.length}`);
  }
  return { probabilities, versions, times };
}

export const mean = (values: readonly number[]): number =>
  values.reduce((total, value) => total + value, 0) / values.length;
