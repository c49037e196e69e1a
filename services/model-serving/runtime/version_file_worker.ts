/** The thread in which a large file is read. @module */
import { answerCalls } from "shared/worker_call.ts";
import type { VersionFile, VersionName } from "./version_file.ts";

export interface VersionFileTask {
  file: Uint8Array;
  name: VersionName;
}

answerCalls<VersionFileTask, VersionFile>(async ({ file, name }) => {
  const { readVersionFile } = await import("./version_file.ts");
  const output = readVersionFile(file, name);
  const lists = output.trees === undefined ? [] : Object.values(output.trees.layout);
  return {
    output,
    transfer: lists.flatMap((list) => ArrayBuffer.isView(list) ? list.buffer as ArrayBuffer : []),
  };
});
