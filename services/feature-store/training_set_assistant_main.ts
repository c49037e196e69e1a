/** The thread's side of training_set_assistant.ts. @module */
import { answerCalls } from "shared/worker_call.ts";
import { joinParts } from "./domain/joined_rows.ts";
import type { AssistantInput, AssistantOutput, PartInput } from "./training_set_assistant.ts";
import { withConnection } from "./training_set_connection.ts";
import { fromData } from "./training_set_definitions.ts";
import { describeColumns } from "./training_set_description.ts";
import { buildPart, type BuiltPart } from "./training_set_part.ts";
import { planTrainingSet } from "./training_set_plan.ts";

answerCalls<AssistantInput, AssistantOutput, number>(async (input, tell) => {
  if ("part" in input) return { output: { part: await makePart(input.part, tell) } };
  const { parts, join, first, end } = input.describe;
  return { output: { statistics: describeColumns(joinParts(parts, join), first, end) } };
});

function makePart(
  { databaseUrl, definitions, request, share, limit, snapshot }: PartInput,
  onProgress: (share: number) => void,
): Promise<BuiltPart> {
  return withConnection(databaseUrl, async (db) => {
    const plan = await planTrainingSet(fromData(definitions), request);
    return await db.begin("isolation level repeatable read read only", async (tx) => {
      await tx.unsafe(`set transaction snapshot '${snapshot}'`);
      return await buildPart(tx, { plan, request, share, limit, onProgress });
    });
  });
}
