/** The thread in which versions are compared. @module */
import type { Judgement, JudgingTask } from "./judge_versions.ts";
import { answerCalls } from "shared/worker_call.ts";

answerCalls<JudgingTask, Judgement>(async (task) => {
  const { judgeVersions } = await import("./judge_versions.ts");
  return { output: await judgeVersions(task) };
});
