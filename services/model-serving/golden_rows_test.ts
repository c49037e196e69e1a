import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { predict, servedModels } from "shared/contracts/model_serving.ts";
import type { GoldenRows } from "shared/contracts/signature.ts";
import { eventually } from "shared/testing/poll.ts";
import { sumModelFile } from "./testing/model_file.ts";
import { MODEL, pointAlias, row, startServing } from "./testing/serving.ts";

Deno.test("a version whose file answers otherwise than it has recorded is refused, and the one before stays", async () => {
  await using service = await startServing();
  /** What is wrong with the version; null when it is served. */
  const judged = async (version: number, golden: GoldenRows) => {
    await pointAlias(service.bus, "champion", version, sumModelFile([10, 1], golden));
    return await eventually(async () => {
      const { models: [model] } = await service.call(servedModels, {});
      const { version: served, error } = model!;
      assert(served === version || error?.includes(` v${version}: `), "it is being tried");
      return { error: model!.error };
    });
  };
  const rows = [[1, 2], [3, 4]];
  assertEquals(await judged(2, { rows, outputs: [[12], [34.0001]] }), { error: null });
  assertStringIncludes(
    (await judged(3, { rows, outputs: [[12], [34.001]] })).error!,
    "it answers 34 to golden row 1, and 34.001 was recorded",
  );
  // What can't be compared proves nothing, and is no reason to let a version in.
  const unequal: readonly (GoldenRows & { says: string })[] = [
    { rows, outputs: [[12]], says: "are 2, and their answers 1" },
    { rows, outputs: [[12], []], says: "must each have 1 answers, and row 1 has 0" },
    { rows: [[1, 2, 3], [4]], outputs: [[12], [34]], says: "must each have 2 values, and row 0 has 3" },
    { rows: [], outputs: [[12]], says: "are 0, and their answers 1" },
    {
      rows: Array.from({ length: 1_025 }, () => [1, 2]),
      outputs: Array.from({ length: 1_025 }, () => [12]),
      says: "are 1025, and may be 1024",
    },
  ];
  let version = 3;
  for (const { says, ...golden } of unequal) {
    assertStringIncludes((await judged(++version, golden)).error!, says);
  }
  const reply = await service.call(predict, { model: MODEL, rows: [row(1, 2)] });
  assertEquals([reply.version, reply.predictions[0]!.output], [2, 12]);
});
