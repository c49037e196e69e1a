import { assertEquals } from "@std/assert";
import { errors } from "nats";
import { busy, conflict, invalid, unavailable } from "./errors.ts";
import { isInfrastructureError } from "./infrastructure_error.ts";

Deno.test("isInfrastructureError() holds for what waiting helps against", () => {
  const database = Object.assign(new Error("terminating connection"), { code: "57P01" });
  const errorsToWaitFor = [
    unavailable("away"),
    busy("full"),
    new errors.TimeoutError(),
    new errors.ClosedConnectionError(),
    new errors.RequestError("no responders", { cause: new errors.NoRespondersError("a.b") }),
    database,
    Object.assign(new Error("refused"), { code: "ECONNREFUSED" }),
    new Error("Cannot write the batch", { cause: database }),
  ];
  for (const error of errorsToWaitFor) assertEquals(isInfrastructureError(error), true, error.message);
});

Deno.test("isInfrastructureError() does not hold for failures of the work itself", () => {
  const unique = Object.assign(new Error("duplicate key"), { code: "23505" });
  for (
    const error of [
      invalid("wrong"),
      conflict("taken"),
      new TypeError("x is undefined"),
      unique,
      "text",
      null,
    ]
  ) {
    assertEquals(isInfrastructureError(error), false, String(error));
  }
});
