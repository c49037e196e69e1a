import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { invalid } from "shared/errors.ts";
import { eventually } from "shared/testing/poll.ts";
import { storedPredictions } from "shared/testing/predictions.ts";
import { MODEL, row, startFeatureStore, startServing } from "../testing/serving.ts";
import { splitLines } from "./line_splitter.ts";

function post(url: string, body: BodyInit): Promise<Response> {
  return fetch(`${url}/v1/models/${MODEL}/predict`, {
    method: "POST",
    headers: { "content-type": "application/x-ndjson" },
    body,
  });
}

const linesOf = (text: string) => text.trim().split("\n").map((line) => JSON.parse(line));

Deno.test("POST predict answers lines one by one, in their order, and bad ones with their number and mistakes", async () => {
  await using service = await startServing({ features: [7, 0], weights: [1, 1] });
  const lines = [
    JSON.stringify({ row: row(1, 0) }),
    "{",
    JSON.stringify({ entity: { customer_id: "17850" } }),
    "",
    JSON.stringify({ row: { "orders.count": 1 } }),
    JSON.stringify({ row: row(4, 0), colour: "red" }),
    JSON.stringify({ row: row(5, 0) }),
    JSON.stringify({ row: row(3e38, 3e38) }),
  ];
  const response = await post(service.url, lines.join("\n"));
  assertEquals([response.status, response.headers.get("content-type")], [200, "application/x-ndjson"]);
  const answers = linesOf(await response.text());
  assertEquals(answers.map(({ line, output, error }) => [line, output ?? error.code]), [
    [1, 1],
    [2, "invalid"],
    [3, 7],
    [5, "invalid"],
    [6, "invalid"],
    [7, 5],
    // What it is answered with is no number.
    [8, "unprocessable"],
  ]);
  assertEquals([answers[0].version, answers[0].arm, answers[2].at], [
    1,
    "champion",
    "2011-05-02T00:00:00.000Z",
  ]);
  assertEquals(answers[3].error.reasons, [{ path: "/row/orders.spend", message: "is missing" }]);
  assert(answers[0].times.totalMs > 0);
  assertStringIncludes(answers[1].error.message, "not JSON");
  await eventually(async () => {
    const events = await storedPredictions(service.bus);
    const ok = events.filter(({ data }) => data.outcome === "ok").map(({ id }) => id);
    assertEquals(ok.toSorted(), answers.flatMap(({ id }) => id ?? []).toSorted());
    // Each mistake is that of its line alone.
    assertEquals(events.length, answers.length);
  });
});

Deno.test("POST predict takes lines that come compressed", async () => {
  await using service = await startServing();
  const lines = Array.from({ length: 300 }, (_, count) => `${JSON.stringify({ row: row(count, 0) })}\n`).join(
    "",
  );
  const response = await fetch(`${service.url}/v1/models/${MODEL}/predict`, {
    method: "POST",
    headers: { "content-type": "application/x-ndjson", "content-encoding": "gzip" },
    body: new Blob([lines]).stream().pipeThrough(new CompressionStream("gzip")),
  });
  const outputs = linesOf(await response.text()).map(({ output }) => output);
  assertEquals(outputs, Array.from({ length: 300 }, (_, count) => count));
});

Deno.test("mistakes of a line that names an entity are told by their place in the line", async () => {
  await using service = await startServing();
  await using _store = await startFeatureStore(service.bus, () => [1, 0], ({ entities }) => {
    const wrong = entities.findIndex(({ customer_id }) => customer_id === "");
    if (wrong >= 0) {
      throw invalid("Cannot read features", [{ path: `/entities/${wrong}`, message: "is none" }]);
    }
  });
  const entity = { customer_id: "1" };
  const lines = [
    { entity, features: { "orders.spend": "much" } },
    { entity: { customer_id: "" } },
    { entity },
  ];
  const response = await post(service.url, lines.map((line) => JSON.stringify(line)).join("\n"));
  const [given, unknown, answered] = linesOf(await response.text());
  assertEquals(given.error.reasons[0].path, "/features/orders.spend");
  assertStringIncludes(given.error.message, " /features/orders.spend ");
  assertEquals(unknown.error.reasons, [{ path: "/entity", message: "is none" }]);
  assertEquals(answered.arm, "champion");
});

Deno.test("POST predict answers the lines before those that can't be unpacked, and says so in one more", async () => {
  await using service = await startServing();
  const lines = Array.from(
    { length: 20_000 },
    (_, count) => `${JSON.stringify({ row: row(count % 97, 0) })}\n`,
  );
  const stream = new Blob([lines.join("")]).stream().pipeThrough(new CompressionStream("gzip"));
  const whole = await new Response(stream).bytes();
  const response = await fetch(`${service.url}/v1/models/${MODEL}/predict`, {
    method: "POST",
    headers: { "content-type": "Application/X-NDJSON", "content-encoding": "gzip" },
    body: whole.subarray(0, whole.length - 20),
  });
  const answers = linesOf(await response.text());
  const last = answers.pop();
  assert(answers.length > 0 && answers.every(({ output }, index) => output === index % 97));
  assertEquals([last.line, last.error.code], [answers.length + 1, "invalid"]);
  await eventually(async () => {
    const events = await storedPredictions(service.bus);
    assertEquals(events.length, answers.length + 1);
    assertEquals(events.filter(({ data }) => data.outcome === "error").length, 1);
  }, { timeoutMs: 30_000 });
});

Deno.test("POST predict begins to answer lines before their end has come, and waits for a reader who is slow", async () => {
  await using service = await startServing();
  const encoder = new TextEncoder();
  let sent = 0;
  let ending = false;
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      if (ending) return controller.close();
      const lines = Array.from({ length: 500 }, () => `${JSON.stringify({ row: row(++sent, 0) })}\n`);
      controller.enqueue(encoder.encode(lines.join("")));
      // Without it the queue of the client would be all that is asked.
      await new Promise((resolve) => setTimeout(resolve));
    },
  });
  const response = await post(service.url, body);
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  // Without it a test that fails would never end: the service waits for its requests.
  await using _ = {
    async [Symbol.asyncDispose]() {
      ending = true;
      await reader.cancel();
    },
  };
  const { value } = await reader.read();
  assertEquals(JSON.parse(value!.split("\n")[0]!).output, 1);
  // Nobody reads: what is sent comes to a halt once what lies between is full, for as long as another caller has all of
  // his lines answered.
  const others = `${JSON.stringify({ row: row(1, 0) })}\n`.repeat(3_000);
  await eventually(async () => {
    const before = sent;
    const answers = await (await post(service.url, others)).text();
    assertEquals([linesOf(answers).length, sent], [3_000, before]);
  }, { timeoutMs: 30_000 });
  ending = true;
  let text = value!;
  for (let next = await reader.read(); !next.done; next = await reader.read()) text += next.value;
  const outputs = linesOf(text).map(({ output }) => output);
  assertEquals(outputs.length, sent);
  assert(outputs.every((output, index) => output === index + 1), "the answers are in the order of the lines");
});

Deno.test("splitLines() counts empty lines, joins what came in pieces, and passes over what is too long", async () => {
  const pieces = ["a\n\nb", "c\r\n", "x".repeat(30), "x".repeat(30), "yy\nd\n", "e"];
  const body = ReadableStream.from(pieces).pipeThrough(new TextEncoderStream());
  const lines = (await Array.fromAsync(splitLines(body, 40))).flat();
  assertEquals(lines.map(({ number, text }) => [number, text]), [
    [1, "a"],
    [3, "bc"],
    [4, undefined],
    [5, "d"],
    [6, "e"],
  ]);
});
