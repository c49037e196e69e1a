/** The thread's side of training_set_thread.ts. @module */
import { answerCalls } from "shared/worker_call.ts";
import { openAssistant } from "./training_set_assistant.ts";
import { buildTrainingSet } from "./training_set_builder.ts";
import { withConnection } from "./training_set_connection.ts";
import type { BuiltTrainingSet } from "./training_set_description.ts";
import type { BuildInput } from "./training_set_thread.ts";

answerCalls<BuildInput, BuiltTrainingSet, number>((input, tell) =>
  withConnection(input.databaseUrl, async (db) => {
    const { request, spineFile, ...deps } = input;
    const output = await buildTrainingSet(
      { ...deps, db, openAssistant },
      request,
      { spineFile, onProgress: tell },
    );
    return { output, transfer: [output.file.buffer as ArrayBuffer] };
  })
);
