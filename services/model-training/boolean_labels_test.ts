import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { getCard, startRun } from "shared/contracts/model_training.ts";
import { observe } from "./testing/observations.ts";
import { compare, ended, model, promote, startStand, train, WEEKS } from "./testing/stand.ts";

Deno.test("a label of booleans keeps the names false and true, also beside a version that knew flags", async () => {
  await using stand = await startStand();
  const { service, features } = stand;
  await promote(service, await train(service));
  features.table = { ...observe({ weeks: WEEKS }), labelType: "boolean" };
  const parameters = { rounds: 40, maxLeaves: 8, classWeights: { true: 2 } };
  const version = await train(service, { parameters });

  const { version: { signature }, curves } = await service.call(getCard, { model, version });
  assertEquals(signature.classes, ["false", "true"]);
  assertEquals(curves!.classes.map((own) => own.class), ["false", "true"]);
  assert(curves!.decision!.recall > 0.5);
  const page = await (await fetch(`${service.url}/v1/models/${model}/versions/${version}/card.html`)).text();
  for (const text of ["on an answer counts as true", "Actual false", "Said true"]) {
    assertStringIncludes(page, text);
  }

  const { rows, championValue } = await compare(service, version);
  const { rows: own, championValue: ownValue } = await compare(service, 1);
  assertEquals([rows, championValue], [own, ownValue]);

  const wrong = await ended(
    service,
    (await service.call(startRun, { model, parameters: { classWeights: { "1": 2 } } })).id,
  );
  assertEquals(wrong.error, 'Cannot weigh the class "1": the classes are false, true');
});
