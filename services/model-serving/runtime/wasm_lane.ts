/** One instance and the turns of those who use it: runs that overlap would corrupt it. @module */
import type { WasmInstance } from "./wasm_instance.ts";

export class WasmLane {
  instance: WasmInstance | undefined;
  /** The turn of whoever uses the instance next. */
  #turn: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  /** Told that somebody waits. */
  #onWaiting: () => void = () => {};

  inTurn<T>(work: () => T | Promise<T>): Promise<T> {
    this.#waiting++;
    const result = this.#turn.then(() => {
      this.#waiting--;
      return work();
    });
    this.#turn = result.catch(() => {});
    this.#onWaiting();
    return result;
  }

  /**
   * For whoever has the turn: calls `then` as soon as that takes so long and somebody waits.
   *
   * @returns what ends the watch
   */
  whenAwaited(afterMs: number, then: () => void): () => void {
    let isDue = false;
    const look = () => {
      if (!isDue || this.#waiting === 0) return;
      end();
      then();
    };
    const timer = setTimeout(() => {
      isDue = true;
      look();
    }, afterMs);
    const end = () => {
      clearTimeout(timer);
      // Where the run went on by itself, another one is watched by now.
      if (this.#onWaiting === look) this.#onWaiting = () => {};
    };
    this.#onWaiting = look;
    return end;
  }
}
