/** One thread with ONNX Runtime in it: told one thing at a time, and ended when that takes too long. @module */
import { AppError, invalid } from "shared/errors.ts";
import type { WasmReply, WasmRequest } from "./wasm_worker.ts";

/** The thread was ended, or died: nothing it held is there any more. */
export class InstanceLost extends AppError {
  /** Whether it was still at work at the end of its time, and not something else that ended it. */
  readonly tooSlow: boolean;

  constructor(message: string, options: { tooSlow: boolean }) {
    super(options.tooSlow ? "timeout" : "internal", message);
    this.name = "InstanceLost";
    this.tooSlow = options.tooSlow;
  }
}

export class WasmInstance {
  readonly #worker: Worker;
  #pending: { resolve: (reply: WasmReply) => void; reject: (error: Error) => void } | undefined;
  #lost: InstanceLost | undefined;
  #traps = 0;

  /**
   * @param code what it runs
   * @throws {InstanceLost} when it takes longer than the limit
   */
  static async start(code: WebAssembly.Module, limitMs: number): Promise<WasmInstance> {
    const instance = new WasmInstance();
    await instance.tell({ do: "start", code }, limitMs);
    return instance;
  }

  private constructor() {
    this.#worker = new Worker(new URL("./wasm_worker.ts", import.meta.url), { type: "module" });
    this.#worker.onmessage = ({ data }: MessageEvent<WasmReply>) => {
      const pending = this.#pending;
      this.#pending = undefined;
      pending?.resolve(data);
    };
    this.#worker.onerror = (event) => {
      event.preventDefault();
      const [reason] = event.message.split("\n");
      this.#lose(new InstanceLost(`the ONNX runtime's thread died: ${reason}`, { tooSlow: false }));
    };
  }

  get lost(): boolean {
    return this.#lost !== undefined;
  }

  /** How often it was stopped in the middle of something: each time it keeps some memory. */
  get traps(): number {
    return this.#traps;
  }

  /**
   * Tells it to do something. One call at a time.
   *
   * @throws {InstanceLost} when it took longer than the limit, or the thread died
   * @throws {AppError} `invalid` when the runtime refuses the model or the input, `internal` when it fails
   */
  async tell(request: WasmRequest, limitMs: number): Promise<Float32Array | undefined> {
    if (this.#lost) throw this.#lost;
    if (this.#pending) throw new TypeError("An instance does one thing at a time");
    const { promise, resolve, reject } = Promise.withResolvers<WasmReply>();
    this.#pending = { resolve, reject };
    const timer = setTimeout(() => {
      const message = `the ONNX runtime was ended: ${request.do} took more than ${limitMs} ms`;
      this.#lose(new InstanceLost(message, { tooSlow: true }));
    }, limitMs);
    try {
      this.#worker.postMessage(request);
      const reply = await promise;
      if ("outputs" in reply) return reply.outputs;
      if (reply.trapped) this.#traps++;
      throw reply.invalid ? invalid(reply.error) : new AppError("internal", reply.error);
    } finally {
      clearTimeout(timer);
    }
  }

  end(): void {
    this.#lose(new InstanceLost("the ONNX runtime was ended", { tooSlow: false }));
  }

  #lose(reason: InstanceLost): void {
    if (this.#lost) return;
    this.#lost = reason;
    this.#worker.terminate();
    const pending = this.#pending;
    this.#pending = undefined;
    pending?.reject(reason);
  }
}
