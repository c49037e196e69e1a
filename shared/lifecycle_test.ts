import { assertEquals, assertRejects } from "@std/assert";
import { type Part, releaseInTime, Releases, startParts } from "./lifecycle.ts";
import { createLogger, silentLogger } from "./log.ts";

function recordedPart(
  name: string,
  journal: string[],
  failing: "start" | "stop" | "nowhere" = "nowhere",
): Part {
  const step = (verb: "start" | "stop") => () => {
    journal.push(`${verb} ${name}`);
    return failing === verb ? Promise.reject(new Error(`${name} broke`)) : Promise.resolve();
  };
  return { name, start: step("start"), stop: step("stop") };
}

Deno.test("startParts() starts in order and its result stops in reverse, once", async () => {
  const journal: string[] = [];
  const running = await startParts(["a", "b", "c"].map((name) => recordedPart(name, journal)), silentLogger);
  await Promise.all([running[Symbol.asyncDispose](), running[Symbol.asyncDispose]()]);
  assertEquals(journal, ["start a", "start b", "start c", "stop c", "stop b", "stop a"]);
});

Deno.test("startParts() stops what runs and throws the first error when a part can't start", async () => {
  const journal: string[] = [];
  const parts = [
    recordedPart("a", journal, "stop"),
    recordedPart("b", journal, "start"),
    recordedPart("c", journal),
  ];
  await assertRejects(() => startParts(parts, silentLogger), Error, "b broke");
  assertEquals(journal, ["start a", "start b", "stop a"]);
});

Deno.test("Releases release everything and throw the first error when several fail", async () => {
  const journal: string[] = [];
  const parts = [
    recordedPart("a", journal),
    recordedPart("b", journal, "stop"),
    recordedPart("c", journal, "stop"),
  ];
  const running = await startParts(parts, silentLogger);
  await assertRejects(async () => await running[Symbol.asyncDispose](), Error, "c broke");
  assertEquals(journal.slice(3), ["stop c", "stop b", "stop a"]);
});

Deno.test("releaseInTime() names what hangs", async () => {
  const lines: string[] = [];
  const log = createLogger("test", {
    destination: { write: (line) => void lines.push(JSON.parse(line).message) },
  });
  const { promise: never } = Promise.withResolvers<void>();
  const releases = new Releases(log);
  releases.add("the first", () => Promise.resolve());
  releases.add("the consumer of EVENTS", () => never);
  assertEquals(await releaseInTime(releases, log, { limitMs: 20 }), false);
  assertEquals(lines, ['Cannot stop in time: "the consumer of EVENTS" was not released within 0.02 s']);
});

Deno.test("releaseInTime() releases and says so", async () => {
  const releases = new Releases(silentLogger);
  let released = false;
  releases.add("it", () => {
    released = true;
    return Promise.resolve();
  });
  assertEquals(await releaseInTime(releases, silentLogger), true);
  assertEquals(released, true);
});
