import { assert, assertEquals } from "@std/assert";
import { unavailable } from "./errors.ts";
import { createLogger, silentLogger } from "./log.ts";
import { createPeriodicPart, type PeriodicPartOptions } from "./periodic_part.ts";
import { eventually } from "./testing/poll.ts";

const HOUR_MS = 3_600_000;

function partOf(options: Partial<PeriodicPartOptions> & Pick<PeriodicPartOptions, "work">) {
  return createPeriodicPart({
    name: "sweeper",
    action: "sweep",
    everyMs: HOUR_MS,
    log: silentLogger,
    ...options,
  });
}

Deno.test("createPeriodicPart() works at once and then after each pause", async () => {
  let times = 0;
  const part = partOf({ everyMs: 1, work: () => Promise.resolve(times++) });
  await part.start();
  await eventually(() => assert(times >= 3));
  await part.stop();
});

Deno.test("createPeriodicPart() ends a pause when poked, the first one too", async () => {
  let times = 0;
  const part = partOf({ pausesFirst: true, work: () => Promise.resolve(times++) });
  await part.start();
  assertEquals(times, 0);
  part.poke();
  await eventually(() => assertEquals(times, 1));
  part.poke();
  await eventually(() => assertEquals(times, 2));
  await part.stop();
});

Deno.test("createPeriodicPart() works another time for a poke during the work, and never twice at once", async () => {
  let times = 0;
  let first = Promise.withResolvers<void>();
  const part = partOf({
    work() {
      times++;
      return first.promise;
    },
  });
  await part.start();
  part.poke();
  part.poke();
  assertEquals(times, 1);
  const held = first;
  first = Promise.withResolvers();
  held.resolve();
  await eventually(() => assertEquals(times, 2));
  first.resolve();
  await part.stop();
  assertEquals(times, 2);
});

Deno.test("createPeriodicPart() tries again what failed, and says so: a neighbour away is no defect", async () => {
  const lines: { "log.level": string; message: string }[] = [];
  const log = createLogger("test", {
    destination: { write: (line: string) => void lines.push(JSON.parse(line)) },
  });
  const outcomes = [new Error("broken"), unavailable("Cannot ask: away")];
  const part = partOf({
    log,
    work() {
      const error = outcomes.shift();
      return error === undefined ? Promise.resolve() : Promise.reject(error);
    },
  });
  await part.start();
  await eventually(() => assertEquals(lines.length, 3));
  await part.stop();
  assertEquals(lines.map((line) => `${line["log.level"]} ${line.message}`), [
    "error Cannot sweep: broken",
    "warn Cannot sweep: Cannot ask: away",
    "info Can sweep again",
  ]);
});

Deno.test("createPeriodicPart() waits at its stop for the work in hand, which is told", async () => {
  let ended = false;
  const part = partOf({
    work: (signal) =>
      new Promise<void>((_, reject) =>
        signal.addEventListener("abort", () => {
          ended = true;
          reject(new Error("stopped"));
        })
      ),
  });
  await part.start();
  await part.stop();
  assert(ended);
});
