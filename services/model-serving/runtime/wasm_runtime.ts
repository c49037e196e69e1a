/**
 * ONNX Runtime for everything that no other runtime takes, in a thread that can be ended.
 *
 * One run at a time in the whole process: runs that overlap corrupt the WASM instance, whichever models they belong to.
 * A run over its limit costs the calls in it an error; the thread is ended and another takes its place, into which
 * models are loaded again as they are asked for.
 *
 * @module
 */
import { AppError, messageOf } from "shared/errors.ts";
import type { ModelBatch, ModelShape } from "shared/onnx/model_batch.ts";
import type { RuntimeCode } from "shared/onnx/runtime_code.ts";
import type { Part } from "shared/lifecycle.ts";
import type { Logger } from "shared/log.ts";
import { type LoadedModel, refuseOtherShape } from "./runtime.ts";
import { InstanceLost, WasmInstance } from "./wasm_instance.ts";

export interface WasmLimits {
  /** A run, in ms; default 5,000. */
  runMs?: number;
  /** Loading a model, in ms; default 30,000. */
  loadMs?: number;
  /**
   * Loads after which the instance is replaced: what WASM took of the memory it gives back only with its thread. Those
   * of models that move to another instance are not counted. Default 100.
   */
  loadsOfInstance?: number;
  /** For how long a model that hung is not run again, in ms; twice as long each time it hangs again. Default 1,000. */
  pauseMs?: number;
  /** The thread ends when no model has been loaded for this long, in ms; default: it stays. */
  idleMs?: number;
}

export interface WasmRuntime extends Part {
  /** @throws {AppError} `invalid` when the runtime refuses the file, `timeout` when loading it takes too long */
  load(file: Uint8Array, shape: ModelShape): Promise<LoadedModel>;
  /** Instances that were ended because a run went over its limit or the thread died. */
  readonly replaced: number;
}

const LONGEST_PAUSE_MS = 60_000;

interface Model {
  readonly id: number;
  readonly file: Uint8Array;
  readonly shape: ModelShape;
  /** The instance that has it in memory. */
  in: WasmInstance | undefined;
  pauseMs: number;
  pausedUntil: number;
}

export interface WasmRuntimeDeps {
  log: Logger;
  /** What its threads run: the same for every runtime of the process. */
  code: RuntimeCode;
  limits?: WasmLimits;
}

export function createWasmRuntime({ log, code, limits = {} }: WasmRuntimeDeps): WasmRuntime {
  const { runMs = 5_000, loadMs = 30_000, loadsOfInstance = 100, pauseMs = 1_000, idleMs } = limits;
  const live = new Set<Model>();
  let instance: WasmInstance | undefined;
  let loads = 0;
  let replaced = 0;
  let renewing: Promise<void> | undefined;
  let nextId = 0;
  let idle: ReturnType<typeof setTimeout> | undefined;
  /** The turn of whoever uses the instance next. */
  let turn: Promise<unknown> = Promise.resolve();

  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = turn.then(work);
    turn = result.catch(() => {});
    return result;
  }

  const startInstance = async () => await WasmInstance.start(await code.forThread(), loadMs);

  async function current(): Promise<WasmInstance> {
    if (instance === undefined || instance.lost) {
      instance = await startInstance();
      loads = 0;
    }
    return instance;
  }

  async function ensureLoaded(model: Model): Promise<WasmInstance> {
    const into = await current();
    if (model.in === into) return into;
    await into.tell({ do: "load", model: model.id, file: model.file, shape: model.shape }, loadMs);
    model.in = into;
    loads++;
    return into;
  }

  /**
   * Another thread takes over. The models come into it while the old one goes on answering: only what came and went
   * meanwhile is made up for in turn.
   */
  async function renew(): Promise<void> {
    let fresh: WasmInstance | undefined;
    const inFresh = new Set<Model>();
    loads = 0;
    try {
      fresh = await startInstance();
      for (const model of live) await loadInto(fresh, model, inFresh);
      await inTurn(() => takeOver(fresh!, inFresh));
    } catch (error) {
      fresh?.end();
      log.warn(
        { err: error },
        `Cannot renew the ONNX runtime, going on with the old one: ${messageOf(error)}`,
      );
    }
  }

  async function loadInto(fresh: WasmInstance, model: Model, inFresh: Set<Model>): Promise<void> {
    await fresh.tell({ do: "load", model: model.id, file: model.file, shape: model.shape }, loadMs);
    inFresh.add(model);
  }

  async function takeOver(fresh: WasmInstance, inFresh: Set<Model>): Promise<void> {
    for (const model of live) if (!inFresh.has(model)) await loadInto(fresh, model, inFresh);
    for (const model of inFresh) {
      if (!live.has(model)) await fresh.tell({ do: "unload", model: model.id }, loadMs);
    }
    for (const model of live) model.in = fresh;
    const old = instance;
    instance = fresh;
    old?.end();
  }

  /** Before a load: calls do not wait for it. */
  async function renewWhenDue(): Promise<void> {
    if (loads >= loadsOfInstance && live.size > 0) renewing ??= renew().finally(() => renewing = undefined);
    await renewing;
  }

  function endWhenIdle(): void {
    clearTimeout(idle);
    if (idleMs === undefined || live.size > 0) return;
    idle = setTimeout(() =>
      void inTurn(() => {
        if (live.size === 0) instance?.end();
        return Promise.resolve();
      }), idleMs);
  }

  async function guarded<T>(model: Model, work: (into: WasmInstance) => Promise<T>): Promise<T> {
    try {
      const result = await work(await ensureLoaded(model));
      model.pauseMs = pauseMs;
      return result;
    } catch (error) {
      if (error instanceof InstanceLost) {
        replaced++;
        if (error.tooSlow) {
          model.pausedUntil = performance.now() + model.pauseMs;
          model.pauseMs = Math.min(LONGEST_PAUSE_MS, model.pauseMs * 2);
        }
        log.error({ err: error }, "The ONNX runtime is replaced");
        throw new AppError(error.code, `Cannot predict: ${error.message}`, { cause: error });
      }
      throw error;
    }
  }

  function predictNext(
    model: Model,
    next: () => ModelBatch | undefined,
  ): Promise<Float32Array | undefined> {
    return inTurn(async () => {
      const batch = next();
      if (batch === undefined) return undefined;
      refuseOtherShape(batch, model.shape);
      const pause = model.pausedUntil - performance.now();
      if (pause > 0) {
        const message = "Cannot predict: the model went over its time, and is not run again for a while";
        throw new AppError("unavailable", message, { retryAfter: pause / 1_000 });
      }
      return await guarded(model, (into) => into.tell({ do: "run", model: model.id, batch }, runMs));
    });
  }

  return {
    name: "ONNX runtime",
    get replaced() {
      return replaced;
    },
    async load(file, shape) {
      const model: Model = {
        id: nextId++,
        file,
        shape,
        in: undefined,
        pauseMs,
        pausedUntil: 0,
      };
      try {
        await renewWhenDue();
        await inTurn(async () => {
          if (loads >= loadsOfInstance && live.size === 0) instance?.end();
          await guarded(model, () => Promise.resolve());
        });
        live.add(model);
      } finally {
        endWhenIdle();
      }
      return {
        runtime: "onnxruntime-web",
        outputWidth: shape.outputs,
        predict: async (batch) => (await predictNext(model, () => batch))!,
        predictNext: (next) => predictNext(model, next),
        unload: () =>
          inTurn(async () => {
            live.delete(model);
            const into = model.in;
            model.in = undefined;
            if (into !== undefined && into === instance && !into.lost) {
              await into.tell({ do: "unload", model: model.id }, loadMs);
            }
            endWhenIdle();
          }),
      };
    },
    start: () => Promise.resolve(),
    async stop() {
      clearTimeout(idle);
      await renewing;
      await inTurn(() => {
        instance?.end();
        return Promise.resolve();
      });
    },
  };
}
