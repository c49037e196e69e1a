/** Stage 4: the features of one customer at one time. @module */
import { call } from "shared/bus/endpoints.ts";
import { online } from "shared/contracts/feature_store.ts";
import { ONE_CUSTOMER } from "../../examples/online-retail/expected.ts";
import { type Demo, MODEL } from "./demo_context.ts";
import { minute } from "./screen.ts";

/** The expected values are rounded to six decimals. */
const ROUNDED = 1e-6;

export async function showFeatures({ bus, screen, checks }: Demo): Promise<void> {
  const { customer, at, features } = ONE_CUSTOMER;
  const reply = await call(bus, online, {
    features: { service: MODEL },
    entities: [{ customer_id: customer }],
    asOf: at,
  });
  const row = reply.rows[0];
  screen.line(
    `   Customer ${customer} at ${minute(at)}, feature service ${MODEL} version ${reply.version}, ` +
      `CLEAN applied up to ${reply.position}:`,
  );
  screen.table(
    ["feature", "value", "status", "newest record behind it"],
    reply.features.map((name, index) => [
      name,
      String(row?.values[index] ?? "none"),
      row?.statuses[index] ?? "none",
      minute(row?.eventTimes[index] ?? ""),
    ]),
  );

  const expected = Object.entries(features);
  checks.count("features in the reply", expected.length, reply.features.length);
  checks.equal("the time of the features", at, reply.at);
  for (const [name, value] of expected) {
    const index = reply.features.indexOf(name);
    checks.equal(`the status of ${name}`, "PRESENT", row?.statuses[index] ?? "none");
    const found = row?.values[index];
    checks.near(name, value, typeof found === "number" ? found : null, ROUNDED);
  }
}
