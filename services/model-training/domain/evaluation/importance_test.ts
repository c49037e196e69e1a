import { assert, assertEquals } from "@std/assert";
import { mixedDataset } from "../../testing/datasets.ts";
import { gbdt } from "../trainers/gbdt.ts";
import { permutationImportance } from "./importance.ts";

Deno.test("permutationImportance() and gains name the features that the label depends on, not the noise", async () => {
  const train = mixedDataset("regression", { rows: 2_000, seed: 1 });
  const model = await gbdt.fit(train, { task: "regression", parameters: { rounds: 60 }, seed: 1 });
  const test = mixedDataset("regression", { rows: 2_000, seed: 2 });
  const importance = await permutationImportance(test, model.predict, { metric: "rmse", seed: 1 });
  // The columns: a and b and c (the label depends on them), the category, and noise as the last.
  const [noise] = [...importance].slice(-1);
  assert([...importance].slice(0, -1).every((value) => value > 10 * Math.abs(noise!)), String(importance));
  assert(model.gains!.slice(0, -1).every((gain) => gain > 5 * model.gains!.at(-1)!), String(model.gains));
  assertEquals(await permutationImportance(test, model.predict, { metric: "rmse", seed: 1 }), importance);
});
