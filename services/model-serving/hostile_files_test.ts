/** Files that are made to do harm: each is kept out, says why, and stops nothing meanwhile. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { headers } from "nats";
import type { ReplyOf } from "shared/contracts/endpoint.ts";
import { predict, servedModels } from "shared/contracts/model_serving.ts";
import { FILES_BUCKET } from "shared/contracts/streams.ts";
import { eventually } from "shared/testing/poll.ts";
import {
  broadcastModelFile,
  constantModelFile,
  cyclicModelFile,
  doublingModelFile,
  externalModelFile,
  longListModelFile,
  loopModelFile,
  manyInputsModelFile,
  nestedModelFile,
  nulModelFile,
  textModelFile,
  wideModelFile,
} from "./testing/hostile_file.ts";
import { sumModelFile } from "./testing/model_file.ts";
import { MODEL, pointAlias, row, startServing } from "./testing/serving.ts";

const half = (file: Uint8Array<ArrayBuffer>) => file.slice(0, file.length >> 1);

const FILES: Readonly<Record<string, { file: () => Uint8Array<ArrayBuffer>; says: string }>> = {
  "an endless loop": { file: loopModelFile, says: "/graph/node/ai.onnx/Loop" },
  "a constant of 4 GB": { file: constantModelFile, says: "/graph/node/ai.onnx/ConstantOfShape" },
  "small constants that are 2.5 GB when they meet": {
    file: broadcastModelFile,
    says: "takes more memory than",
  },
  "a tree with a cycle": { file: cyclicModelFile, says: "TreeEnsembleRegressor" },
  "columns that double forty times": { file: doublingModelFile, says: "takes more memory than" },
  "rows of four hundred million numbers": { file: wideModelFile, says: "ONNX runtime" },
  "branches in branches, two hundred deep": {
    file: () => nestedModelFile(200),
    says: "nested more than 16 deep",
  },
  "a list of 20 million numbers in as many bytes": {
    file: () => longListModelFile(20_000_000),
    says: "more than 16777216 values",
  },
  "ten million inputs of two bytes each": {
    file: () => manyInputsModelFile(10_000_000),
    says: "more than 250000 attributes, constants, inputs, outputs and the like",
  },
  "texts where numbers are due": { file: textModelFile, says: "is not 1 float32 for each row" },
  "an operator whose name can't be stored": { file: nulModelFile, says: "is not one of the operators" },
  "half a file": { file: () => half(sumModelFile([1, 0])), says: "a field says it has" },
  "constants in another file": { file: externalModelFile, says: "has constants in another file" },
};

Deno.test("hostile files are kept out one by one, each says why, and calls are answered all along", async (t) => {
  await using service = await startServing({ weights: [1, 0] });
  let stopped = false;
  let answered = 0;
  const calling = (async () => {
    while (!stopped) {
      const { version, predictions } = await service.call(predict, { model: MODEL, rows: [row(5, 0)] });
      assertEquals([version, predictions[0]!.output], [1, 5]);
      answered++;
    }
  })();
  let version = 1;
  for (const [name, { file, says }] of Object.entries(FILES)) {
    version++;
    await t.step(name, async () => {
      await pointAlias(service.bus, "champion", version, file());
      await eventually(async () => {
        const { models }: ReplyOf<typeof servedModels> = await (await fetch(`${service.url}/v1/models`))
          .json();
        assertEquals([models[0]!.state, models[0]!.version], ["failed", 1]);
        const admissions = await service.db`select reason from admissions where version = ${version}`;
        // A trial on a machine that is busy may first take too long, and is tried again.
        const reasons = admissions.map(({ reason }) => reason as string);
        assert(reasons.some((reason) => reason.includes(says)), `it was refused for: ${reasons.join("; ")}`);
        assertStringIncludes(models[0]!.error!, says);
      }, { timeoutMs: 60_000 });
      const before = answered;
      await eventually(() => assert(answered > before));
    });
  }
  stopped = true;
  await calling;
});

Deno.test("a file that is said to have 4 GB is refused before it is fetched", async () => {
  await using service = await startServing({ weights: [1, 0] });
  const { bus: { files, js, jsm } } = service;
  const file = sumModelFile([2, 0]);
  const name = btoa(await files.put(file)).replaceAll("+", "-").replaceAll("/", "_");
  // The store makes room for what stands there, before the first byte comes.
  const about = `$O.${FILES_BUCKET}.M.${name}`;
  const known = await jsm.streams.getMessage(`OBJ_${FILES_BUCKET}`, { last_by_subj: about });
  const forged = JSON.stringify({ ...known!.json<Record<string, unknown>>(), size: 4_000_000_000 });
  const replacing = headers();
  replacing.set("Nats-Rollup", "sub");
  await js.publish(about, forged, { headers: replacing });

  await pointAlias(service.bus, "champion", 2, file);
  await eventually(async () => {
    const { models } = await service.call(servedModels, {});
    assertEquals([models[0]!.state, models[0]!.version], ["failed", 1]);
    assertStringIncludes(models[0]!.error!, "it has 4000000000 bytes, at most 268435456 are accepted");
  });
});
