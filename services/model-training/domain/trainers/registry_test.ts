import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { ALGORITHM_PARAMETERS, algorithmSchema } from "shared/contracts/model_training.ts";
import { AppError } from "shared/errors.ts";
import { datasetOf } from "../../testing/datasets.ts";
import { trainerFor, TRAINERS } from "./registry.ts";

Deno.test("trainerFor() has a trainer for every algorithm of the contract, with the contract's parameters", () => {
  assertEquals([...TRAINERS.keys()].sort(), [...algorithmSchema.options].sort());
  for (const algorithm of algorithmSchema.options) {
    assertEquals(TRAINERS.get(algorithm)!.parameters, ALGORITHM_PARAMETERS[algorithm]);
  }
});

Deno.test("trainerFor() refuses unknown algorithms, and tasks that an algorithm does not do", () => {
  const message = (algorithm: string) =>
    assertThrows(() => trainerFor(algorithm, "regression"), AppError).message;
  assertEquals(
    message("svm"),
    'Cannot train with "svm": the algorithm must be one of gbdt, random_forest, logistic, linear, prior',
  );
  assertEquals(
    message("logistic"),
    'Cannot train with "logistic": it does binary, multiclass, the task is regression',
  );
});

Deno.test("trainers refuse one class and parameters they do not know", async () => {
  for (const algorithm of ["gbdt", "logistic", "prior"]) {
    const trainer = trainerFor(algorithm, "binary");
    const oneClass = datasetOf([[1, 2, 3]], [1, 1, 1]);
    const options = { task: "binary", parameters: {}, seed: 1 } as const;
    await assertRejects(() => trainer.fit(oneClass, options), AppError, "all 3 rows have the label 1");
    const twoClasses = datasetOf([[1, 2, 3]], [1, 0, 1]);
    await assertRejects(
      () => trainer.fit(twoClasses, { ...options, parameters: { tress: 1 } }),
      AppError,
      "tress",
    );
  }
});

Deno.test("prior gives every row the mean label of the training rows", async () => {
  const train = datasetOf([[1, 2, 3, 4]], [1, 0, 0, 0]);
  const model = await trainerFor("prior", "binary").fit(train, { task: "binary", parameters: {}, seed: 1 });
  assertEquals([...model.predict(datasetOf([[NaN, 5]], [0, 1]))], [0.25, 0.25]);
  const values = datasetOf([[1, 2]], [3, 10]);
  const regression = trainerFor("prior", "regression");
  const fitted = await regression.fit(values, { task: "regression", parameters: {}, seed: 1 });
  assert(fitted.predict(values)[0] === 6.5);
});
