/** The thread in which one model is trained. @module */
import { answerCalls } from "shared/worker_call.ts";
import type { TrainedModel, TrainingProgress, TrainingTask } from "./model_task.ts";

answerCalls<TrainingTask, TrainedModel, TrainingProgress>(async (task, tell) => {
  const { trainModel } = await import("./train_model.ts");
  const output = await trainModel(task, tell);
  return { output, transfer: [output.onnx.buffer] };
});
