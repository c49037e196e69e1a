/** A thread that answers, fails or dies as it is told. @module */
import { AppError } from "../errors.ts";
import { answerCalls } from "../worker_call.ts";

export type OddTask = "double the bytes" | "refuse" | "break" | "die" | "never end";

answerCalls<{ task: OddTask; bytes: Uint8Array }, Uint8Array, string>(async ({ task, bytes }, tell) => {
  tell(`told to ${task}`);
  switch (task) {
    case "double the bytes":
      return { output: bytes.map((byte) => byte * 2) };
    case "refuse":
      throw new AppError("unprocessable", "Cannot do it: it is refused", {
        reasons: [{ path: "/rows", message: "is 0" }],
      });
    case "break":
      throw new TypeError("a defect");
    case "die":
      // Where no promise and no handler is there to catch it.
      setTimeout(() => {
        throw new Error("out of the blue");
      });
      return await new Promise(() => {});
    case "never end":
      for (;;);
  }
});
