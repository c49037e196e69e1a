import { assertEquals, assertInstanceOf, assertRejects, assertStringIncludes } from "@std/assert";
import { AppError } from "shared/errors.ts";
import type { OddTask } from "./testing/odd_worker.ts";
import { callWorker, type WorkerCallOptions } from "./worker_call.ts";

function callOdd(task: OddTask, options: WorkerCallOptions<string> & { bytes?: Uint8Array } = {}) {
  const { bytes = Uint8Array.of(1, 2), ...rest } = options;
  return callWorker<unknown, Uint8Array, string>(
    new URL("./testing/odd_worker.ts", import.meta.url),
    { task, bytes },
    rest,
  );
}

Deno.test("callWorker() gives the output, and tells of progress on the way", async () => {
  const bytes = Uint8Array.of(1, 2, 3);
  const told: string[] = [];
  const output = await callOdd("double the bytes", {
    bytes,
    transfer: [bytes.buffer],
    onProgress: (progress) => told.push(progress),
  });
  assertEquals([...output], [2, 4, 6]);
  assertEquals(told, ["told to double the bytes"]);
  assertEquals(bytes.length, 0, "the buffer has moved");
});

Deno.test("callWorker() throws an AppError of the work as one, and another error as it is", async () => {
  const refused = await assertRejects(() => callOdd("refuse"), AppError, "it is refused");
  assertEquals([refused.code, refused.reasons], ["unprocessable", [{ path: "/rows", message: "is 0" }]]);
  const broken = await assertRejects(() => callOdd("break"), Error, "a defect");
  assertEquals(broken instanceof AppError, false);
  assertStringIncludes((broken as Error).stack!, "odd_worker.ts");
});

Deno.test("callWorker() throws when the thread dies", async () => {
  const error = await assertRejects(() => callOdd("die"), AppError, "its thread died");
  assertEquals(error.code, "internal");
  assertStringIncludes(error.message, "out of the blue");
});

Deno.test("callWorker() ends a thread that would never end by itself", async () => {
  const abort = new AbortController();
  const call = callOdd("never end", {
    signal: abort.signal,
    onProgress: () => abort.abort(new RangeError("enough")),
  });
  assertInstanceOf(await assertRejects(() => call), RangeError);
});
