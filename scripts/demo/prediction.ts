/** Stage 6: one prediction over HTTP. @module */
import { HISTORY, ONE_CUSTOMER } from "../../examples/online-retail/expected.ts";
import { type Demo, MODEL } from "./demo_context.ts";
import { askForPredictions, predictBody, predictUrl } from "./predictions.ts";
import { minute, percent } from "./screen.ts";

export async function predictOne(demo: Demo): Promise<void> {
  const { screen, checks } = demo;
  const customers = [ONE_CUSTOMER.customer];
  const { version, at, predictions } = await askForPredictions(demo, customers);
  const [prediction] = predictions;
  screen.line(
    `   Customer ${ONE_CUSTOMER.customer} at ${
      minute(at ?? "")
    }: orders again within 30 days with probability ` +
      `${percent(prediction?.output ?? NaN)} (${MODEL} version ${version}, prediction ${prediction?.id})`,
  );
  screen.line("   To repeat it while the stack runs (--keep):");
  screen.line(
    `   curl -s ${predictUrl(demo)} -H 'Content-Type: application/json' -d '${predictBody(customers)}'`,
  );
  checks.count("predictions in the answer", 1, predictions.length);
  checks.count("the version that answers", 1, version);
  checks.equal("the time of the prediction", HISTORY.clock, at ?? "none");
  checkProbability(demo, prediction?.output);
}

export function checkProbability({ checks }: Demo, output: number | undefined): void {
  checks.holds("a prediction", output !== undefined && output > 0 && output < 1, {
    expected: "a probability between 0 and 1",
    found: output,
  });
}
