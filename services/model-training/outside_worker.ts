/** The thread in which what is learnt outside the service is prepared and judged, and imported files are tried. @module */
import type { ImportedModel, ImportTask, OutsideTask } from "./judge_file.ts";
import type { TrainedModel, TrainingTask } from "./model_task.ts";
import type { OutsideParts } from "./prepare_outside.ts";
import { answerCalls } from "shared/worker_call.ts";

export type OutsideWork = { prepare: TrainingTask } | { judge: OutsideTask } | { import: ImportTask };

answerCalls<OutsideWork, OutsideParts | TrainedModel | ImportedModel>(async (work) => {
  if ("prepare" in work) {
    const { prepareOutside } = await import("./prepare_outside.ts");
    return { output: await prepareOutside(work.prepare) };
  }
  const { checkImportedModel, judgeOutsideModel } = await import("./judge_file.ts");
  return {
    output: "judge" in work ? await judgeOutsideModel(work.judge) : await checkImportedModel(work.import),
  };
});
