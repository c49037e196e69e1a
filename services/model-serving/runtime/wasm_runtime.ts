/**
 * ONNX Runtime for everything that no other runtime takes, in a thread that can be ended.
 *
 * One run at a time in a thread: runs that overlap corrupt its WASM instance, whichever models they belong to. All models
 * share one. A run that takes long while others wait goes on by itself, and the thread is its model's alone from then on;
 * the others go on in another, into which they are loaded again as they are asked for. A run over its limit costs the calls
 * in it an error, and its thread is ended.
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
import { WasmLane } from "./wasm_lane.ts";

export interface WasmLimits {
  /** A run, in ms; default 5,000. */
  runMs?: number;
  /** How long others wait for a run, in ms, before they go on without its model; default 1,000. */
  patienceMs?: number;
  /** Loading a model, in ms; default 30,000. */
  loadMs?: number;
  /**
   * Loads after which the instance is replaced: what WASM took of the memory it gives back only with its thread. Those
   * of models that move to another instance are not counted. Default 100.
   */
  loadsOfInstance?: number;
  /** Runs that were stopped in the middle, as by a division that has no result, after which it is replaced. Default 1,000. */
  trapsOfInstance?: number;
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
/** Models that may have a thread of their own at the same time: each takes memory. */
const MAX_ALONE = 2;

interface Model {
  readonly id: number;
  readonly file: Uint8Array;
  readonly shape: ModelShape;
  lane: WasmLane;
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
  const { runMs = 5_000, patienceMs = 1_000, loadMs = 30_000, pauseMs = 1_000, idleMs } = limits;
  const { loadsOfInstance = 100, trapsOfInstance = 1_000 } = limits;
  const live = new Set<Model>();
  const shared = new WasmLane();
  let loads = 0;
  let replaced = 0;
  let renewing: Promise<void> | undefined;
  let nextId = 0;
  let idle: ReturnType<typeof setTimeout> | undefined;
  const startInstance = async () => await WasmInstance.start(await code.forThread(), loadMs);

  async function current(lane: WasmLane): Promise<WasmInstance> {
    if (lane.instance !== undefined && lane.instance.traps >= trapsOfInstance) lane.instance.end();
    if (lane.instance === undefined || lane.instance.lost) {
      lane.instance = await startInstance();
      if (lane === shared) loads = 0;
    }
    return lane.instance;
  }

  async function ensureLoaded(model: Model): Promise<WasmInstance> {
    const into = await current(model.lane);
    if (model.in === into) return into;
    await into.tell({ do: "load", model: model.id, file: model.file, shape: model.shape }, loadMs);
    model.in = into;
    if (model.lane === shared) loads++;
    return into;
  }

  const sharing = () => [...live].filter(({ lane }) => lane === shared);

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
      for (const model of sharing()) await loadInto(fresh, model, inFresh);
      await shared.inTurn(() => takeOver(fresh!, inFresh));
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
    const models = new Set(sharing());
    for (const model of models) if (!inFresh.has(model)) await loadInto(fresh, model, inFresh);
    for (const model of inFresh) {
      if (!models.has(model)) await fresh.tell({ do: "unload", model: model.id }, loadMs);
    }
    for (const model of models) model.in = fresh;
    const old = shared.instance;
    shared.instance = fresh;
    old?.end();
  }

  /** Before a load: calls do not wait for it. */
  async function renewWhenDue(): Promise<void> {
    if (loads >= loadsOfInstance && sharing().length > 0) {
      renewing ??= renew().finally(() => renewing = undefined);
    }
    await renewing;
  }

  function endWhenIdle(): void {
    clearTimeout(idle);
    if (idleMs === undefined || live.size > 0) return;
    idle = setTimeout(() =>
      void shared.inTurn(() => {
        if (live.size === 0) shared.instance?.end();
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

  async function predictNext(
    model: Model,
    next: () => ModelBatch | undefined,
  ): Promise<Float32Array | undefined> {
    const { lane } = model;
    const begun = await lane.inTurn(async () => {
      // It got a thread of its own while this waited.
      if (model.lane !== lane) return { run: predictNext(model, next) };
      const batch = next();
      if (batch === undefined) return undefined;
      refuseOtherShape(batch, model.shape);
      const pause = model.pausedUntil - performance.now();
      if (pause > 0) {
        const message = "Cannot predict: the model went over its time, and is not run again for a while";
        throw new AppError("unavailable", message, { retryAfter: pause / 1_000 });
      }
      return await runUntilAwaited(model, batch);
    });
    return await begun?.run;
  }

  /** Comes back when the run is over, or goes on by itself. */
  async function runUntilAwaited(model: Model, batch: ModelBatch) {
    const goesOn = Promise.withResolvers<void>();
    const run = guarded(model, async (into) => {
      const endWatch = model.lane.whenAwaited(patienceMs, () => {
        if (partFrom(model, into, over)) goesOn.resolve();
      });
      try {
        return await into.tell({ do: "run", model: model.id, batch }, runMs);
      } finally {
        endWatch();
      }
    });
    const over = Promise.allSettled([run]);
    await Promise.race([over, goesOn.promise]);
    return { run };
  }

  /** Leaves the shared thread to a run that goes on, and to its model after that. */
  function partFrom(model: Model, running: WasmInstance, over: Promise<unknown>): boolean {
    if (model.lane !== shared || live.size - sharing().length >= MAX_ALONE) return false;
    log.warn(`A run takes more than ${patienceMs} ms: others go on in another thread`);
    const others = sharing().filter((other) => other !== model && other.in === running);
    for (const other of others) other.in = undefined;
    shared.instance = undefined;
    loads = 0;
    const lane = new WasmLane();
    lane.instance = running;
    model.lane = lane;
    void lane.inTurn(async () => {
      await over;
      for (const { id } of others) {
        if (!running.lost) await running.tell({ do: "unload", model: id }, loadMs);
      }
    }).catch((error) => log.error({ err: error }, `Cannot make room in a thread: ${messageOf(error)}`));
    return true;
  }

  async function unload(model: Model): Promise<void> {
    const { lane } = model;
    const moved = await lane.inTurn(async () => {
      if (model.lane !== lane) return true;
      live.delete(model);
      const into = model.in;
      model.in = undefined;
      if (lane !== shared) lane.instance?.end();
      else if (into !== undefined && into === lane.instance && !into.lost) {
        await into.tell({ do: "unload", model: model.id }, loadMs);
      }
      endWhenIdle();
      return false;
    });
    if (moved) await unload(model);
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
        lane: shared,
        in: undefined,
        pauseMs,
        pausedUntil: 0,
      };
      try {
        await renewWhenDue();
        await shared.inTurn(async () => {
          if (loads >= loadsOfInstance && live.size === 0) shared.instance?.end();
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
        unload: () => unload(model),
      };
    },
    start: () => Promise.resolve(),
    async stop() {
      clearTimeout(idle);
      await renewing;
      for (const { lane } of live) if (lane !== shared) lane.instance?.end();
      await shared.inTurn(() => shared.instance?.end());
    },
  };
}
