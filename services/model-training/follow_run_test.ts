import { assert, assertEquals, assertGreater, assertRejects } from "@std/assert";
import {
  cancelRun,
  compareRuns,
  getRun,
  listRuns,
  retryRun,
  type RunEvent,
  runLogs,
  runMetrics,
  startRun,
} from "shared/contracts/model_training.ts";
import { subject } from "shared/contracts/streams.ts";
import { AppError } from "shared/errors.ts";
import { eventually } from "shared/testing/poll.ts";
import { ended, model, reorder, startStand } from "./testing/stand.ts";
import { startTestTrainer } from "./testing/trainer.ts";

interface SentEvent {
  id: string;
  event: string;
  data: RunEvent;
}

/** Reads server-sent events until the stream ends. */
async function readEvents(url: string, headers: Record<string, string> = {}): Promise<SentEvent[]> {
  const response = await fetch(url, { headers });
  assertEquals(response.headers.get("content-type"), "text/event-stream");
  const blocks = (await response.text()).split("\n\n").filter((block) => block.startsWith("event:"));
  return blocks.map((block) => {
    const fields = Object.fromEntries(block.split("\n").map((line) => line.split(/: (.*)/s, 2)));
    return { id: fields["id"], event: fields["event"], data: JSON.parse(fields["data"]) };
  });
}

Deno.test("GET /v1/runs/{id}/events tells how far a run is, to its end, from where the reader was", async () => {
  await using stand = await startStand();
  const { service, features } = stand;
  features.holds = true;
  const heard: RunEvent[] = [];
  const listening = service.bus.nc.subscribe(subject.trainingRun("*"), {
    callback: (_, message) => {
      heard.push(message.json<RunEvent>());
    },
  });
  const { id } = await service.call(startRun, { model });
  const url = `${service.url}/v1/runs/${id}/events`;
  const following = readEvents(url);
  await eventually(() => assert(heard.some(({ stage }) => stage === "features")));
  features.holds = false;
  const events = await following;
  listening.unsubscribe();

  assertEquals(events.map(({ id }) => Number(id)), events.map((_, index) => index + 1));
  assertEquals([events[0]!.data.status, events[0]!.data.stage], ["queued", "queued"]);
  const last = events.at(-1)!.data;
  assertEquals([last.status, last.stage, last.progress, last.version], ["done", "done", 1, 1]);
  const progress = events.map(({ data }) => data.progress);
  assertEquals(progress, progress.toSorted((a, b) => a - b));
  assertEquals(heard.map(({ sequence }) => sequence), events.map(({ data }) => data.sequence));

  const rest = await readEvents(url, { "last-event-id": String(events.length - 1) });
  assertEquals(rest, events.slice(-1));
  const { points } = await service.call(runMetrics, { id, name: "training_loss", limit: 30 });
  assertEquals(points.map(({ step }) => step), Array.from({ length: 30 }, (_, round) => round + 1));
  assertGreater(points[0]!.value, points.at(-1)!.value);
  const { lines } = await service.call(runLogs, { id });
  assert(lines.some(({ line }) => line.includes("Got the training set")));
  const missing = await fetch(`${service.url}/v1/runs/${crypto.randomUUID()}/events`);
  await missing.body?.cancel();
  assertEquals(missing.status, 404);
});

Deno.test("cancelRun() ends a run at once wherever it is, and retryRun() starts one like it", async () => {
  await using stand = await startStand({ env: { RUNS_AT_ONCE: "1" } });
  const { service } = stand;
  await using trainer = startTestTrainer(service.bus, "endless", () => Promise.resolve("silence"));
  const { id } = await service.call(startRun, { model, algorithm: "endless", tags: { try: "first" } });
  await eventually(() => assertEquals(trainer.jobs.length, 1));
  const { id: waiting } = await service.call(startRun, { model });
  const reason = { reason: "a mistake" };
  assertEquals(await service.call(cancelRun, { id: waiting, ...reason }), { cancelled: true });
  assertEquals(await service.call(cancelRun, { id, ...reason }, { actor: "ada" }), { cancelled: true });
  assertEquals(await service.call(cancelRun, { id, ...reason }), { cancelled: false });
  const run = await service.call(getRun, { id });
  assertEquals([run.status, run.error], ["cancelled", "Cancelled by ada: a mistake"]);

  // Its thread is free again: the next run is worked on.
  const { id: again } = await service.call(retryRun, { id: waiting });
  const retried = await ended(service, again);
  assertEquals([retried.status, retried.retryOf, retried.reason], ["done", waiting, `retry of ${waiting}`]);
  const { id: endless } = await service.call(retryRun, { id });
  assertEquals((await service.call(getRun, { id: endless })).tags, { try: "first" });
  await service.call(cancelRun, { id: endless });
  await assertRejects(() => service.call(retryRun, { id: crypto.randomUUID() }), AppError, "there is none");
});

Deno.test("listRuns() finds runs by what is known of them, and compareRuns() puts them side by side", async () => {
  await using stand = await startStand();
  const { service } = stand;
  const run = async (rounds: number, tags: Record<string, string>) => {
    const { id } = await service.call(startRun, { model, parameters: { rounds }, tags, gitRevision: "abc" });
    return await ended(service, id);
  };
  const weak = await run(1, { team: "growth" });
  const good = await run(40, { team: "growth", note: "a=b" });
  const ids = async (query: string) => {
    const response = await fetch(`${service.url}/v1/runs?${query}`);
    const { runs, next } = await response.json();
    return { ids: runs.map(({ id }: { id: string }) => id), next };
  };
  const [better, worse] = [good.metrics["log_loss"]!, weak.metrics["log_loss"]!];
  assertGreater(worse, better);
  const between = (better + worse) / 2;
  assertEquals((await ids(`metric=log_loss&max=${between}`)).ids, [good.id]);
  assertEquals((await ids(`metric=log_loss&min=${between}`)).ids, [weak.id]);
  assertEquals((await ids("parameter=rounds=1")).ids, [weak.id]);
  assertEquals((await ids("tag=note=a=b&status=done")).ids, [good.id]);
  assertEquals((await ids("tag=team&status=failed")).ids, []);
  const first = await ids("tag=team&limit=1");
  assertEquals(first, { ids: [good.id], next: good.id });
  assertEquals(await ids(`tag=team&limit=1&after=${first.next}`), { ids: [weak.id], next: null });
  const best = await ids("metric=log_loss&order=lowest&limit=1&kind=trained&project=shop&algorithm=gbdt");
  assertEquals(best, { ids: [good.id], next: good.id });
  assertEquals(await ids(`metric=log_loss&order=lowest&limit=1&after=${best.next}`), {
    ids: [weak.id],
    next: null,
  });
  assertEquals((await ids("metric=log_loss&order=highest")).ids, [weak.id, good.id]);
  assertEquals((await ids("tag=team=growth&tag=note&parameter=rounds")).ids, [good.id]);
  assertEquals((await ids("tag=team=growth&parameter=rounds=1&parameter=maxLeaves=9")).ids, []);
  assertEquals((await ids("parameter=nothing")).ids, []);
  assertEquals((await ids(`trainingSet=${good.trainingSet}`)).ids, [good.id, weak.id]);
  await assertRejects(() => service.call(listRuns, { min: 1 }), AppError, "must name the metric");
  await assertRejects(() => service.call(listRuns, { order: "highest" }), AppError, "must name the metric");

  const compared = await service.call(compareRuns, { ids: [weak.id, good.id] });
  const row = (rows: typeof compared.parameters, name: string) => rows.find((row) => row.name === name);
  assertEquals(row(compared.parameters, "rounds"), { name: "rounds", values: [1, 40], differs: true });
  assertEquals(row(compared.parameters, "maxBins")!.differs, false);
  assertEquals(row(compared.metrics, "log_loss")!.values, [worse, better]);
  assertEquals(row(compared.tags, "note")!.values, [null, "a=b"]);
  assertEquals(row(compared.origins, "trainingSet")!.differs, false);
  assertEquals(row(compared.origins, "gitRevision")!.values, ["abc", "abc"]);
  assertEquals(row(compared.environment, "deno")!.values, [Deno.version.deno, Deno.version.deno]);
});

Deno.test("startRun() trains what only the request describes, and keeps its file", async () => {
  await using stand = await startStand();
  const { service } = stand;
  const adHoc = { project: "shop", ...reorder({ algorithm: "logistic", parameters: {} }) };
  const { id } = await service.call(startRun, { adHoc });
  const run = await ended(service, id);
  assertEquals([run.status, run.model, run.version, run.project], ["done", null, null, "shop"]);
  const response = await fetch(`${service.url}/v1/runs/${id}/artifacts/model.onnx`);
  const bytes = await response.bytes();
  assertEquals(bytes.length, run.artifacts[0]!.bytes);
  const posted = await fetch(`${service.url}/v1/models/from_a_run/versions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ sha256: run.artifacts[0]!.sha256, project: "shop" }),
  });
  assertEquals([posted.status, (await posted.json()).version], [201, 1]);
  await assertRejects(
    () => service.call(startRun, { model, adHoc }),
    AppError,
    "either a model or an ad hoc",
  );
});
