/**
 * The thread in which ONNX Runtime runs. It does one thing after the other, as it is told; whoever tells it ends it
 * when it takes too long.
 *
 * @module
 */
import type { LoadedModel as OnnxModel } from "shared/onnx/runtime.ts";
import type { ModelBatch, ModelShape } from "shared/onnx/model_batch.ts";

export type WasmRequest =
  | { do: "start"; code: WebAssembly.Module }
  | { do: "load"; model: number; file: Uint8Array; shape: ModelShape }
  | { do: "run"; model: number; batch: ModelBatch }
  | { do: "unload"; model: number };

/** `trapped`: it was stopped in the middle, and what it had taken it never gave back. */
export type WasmReply =
  | { outputs: Float32Array | undefined }
  | { error: string; invalid: boolean; trapped: boolean };

/** A thread's side of the border; the types of a whole program don't have it. */
interface WorkerScope {
  onmessage: ((event: MessageEvent<WasmRequest>) => void) | null;
  postMessage(message: WasmReply, transfer?: Transferable[]): void;
}

const scope = globalThis as unknown as WorkerScope;
const models = new Map<number, OnnxModel>();
let code: WebAssembly.Module;

// Set before anything is awaited: a message that comes while a module is loading would find nobody.
scope.onmessage = async ({ data: request }) => {
  const { AppError, messageOf } = await import("shared/errors.ts");
  try {
    const outputs = await perform(request);
    scope.postMessage({ outputs }, outputs === undefined ? [] : [outputs.buffer as ArrayBuffer]);
  } catch (error) {
    const invalid = error instanceof AppError && error.code !== "internal";
    const trapped = error instanceof AppError && error.cause instanceof WebAssembly.RuntimeError;
    scope.postMessage({ error: messageOf(error), invalid, trapped });
  }
};

async function perform(request: WasmRequest): Promise<Float32Array | undefined> {
  switch (request.do) {
    case "start": {
      code = request.code;
      return undefined;
    }
    case "load": {
      const { loadModel } = await import("shared/onnx/runtime.ts");
      models.set(request.model, await loadModel(request.file, request.shape, { code }));
      return undefined;
    }
    case "run": {
      const outputs = await models.get(request.model)!.predict(request.batch);
      // Of its own: the runtime's may be a view of the instance's memory, which can't move to another thread.
      return outputs.slice();
    }
    case "unload": {
      const model = models.get(request.model);
      models.delete(request.model);
      await model?.unload();
      return undefined;
    }
  }
}
