import { resolve } from "node:path";
import { connectBus } from "shared/bus/connection.ts";
import { createLogger } from "shared/log.ts";
import type { CommandContext } from "./command.ts";

/** Where nobody looks at a terminal, a line about the progress is written so often at most. */
const PROGRESS_EVERY_MS = 10_000;
const CLEAR_LINE = "\r\x1b[K";

/** The context of a process: its streams and its environment. */
export class ProcessContext implements CommandContext {
  readonly actor = `ml:${Deno.env.get("USER") ?? "unknown"}`;
  readonly #onTerminal = Deno.stderr.isTerminal();
  readonly #encoder = new TextEncoder();
  #hasProgressLine = false;
  #lastProgressMs = Date.now();

  print(text: string): void {
    this.endProgress();
    this.#write(Deno.stdout, `${text}\n`);
  }

  progress(line: string): void {
    if (this.#onTerminal) {
      this.#write(Deno.stderr, `${CLEAR_LINE}${line}`);
      this.#hasProgressLine = true;
    } else if (Date.now() - this.#lastProgressMs >= PROGRESS_EVERY_MS) {
      this.#write(Deno.stderr, `${line}\n`);
      this.#lastProgressMs = Date.now();
    }
  }

  /** Takes the last line about the progress off the terminal. */
  endProgress(): void {
    if (this.#hasProgressLine) this.#write(Deno.stderr, CLEAR_LINE);
    this.#hasProgressLine = false;
  }

  connect() {
    return connectBus({
      url: Deno.env.get("NATS_URL") ?? "nats://127.0.0.1:4222",
      name: "ml",
      log: createLogger("ml", { level: "warn" }),
    });
  }

  path(given: string): string {
    // A task runs in the folder of its deno.json.
    return resolve(Deno.env.get("INIT_CWD") ?? Deno.cwd(), given);
  }

  #write(stream: { writeSync(bytes: Uint8Array): number }, text: string): void {
    let bytes = this.#encoder.encode(text);
    while (bytes.length > 0) bytes = bytes.subarray(stream.writeSync(bytes));
  }
}
