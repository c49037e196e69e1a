import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { serveEndpoints } from "shared/bus/endpoints.ts";
import { ledger, redriveRejected, rejected } from "shared/contracts/data_ingestion.ts";
import { redriveQuarantined, releaseBlock } from "shared/contracts/data_preprocessing.ts";
import { listDeadLetters, redriveDeadLetters } from "shared/contracts/dead_letters.ts";
import {
  type BoundEndpoint,
  type CallContext,
  type Endpoint,
  type ReplyOf,
} from "shared/contracts/endpoint.ts";
import { getReplay, type Replay, startReplay } from "shared/contracts/replay.ts";
import { silentLogger } from "shared/log.ts";
import { startTestBus } from "shared/testing/bus.ts";
import { readCommandLine } from "./command_line.ts";
import { COMMANDS } from "./commands.ts";

interface Answered {
  code: number;
  printed: string;
  /** What the services were asked, in order. */
  requests: unknown[];
  calls: CallContext[];
}

/** Something that answers an endpoint, with its next reply each time; the last one is repeated. */
type Answers = (called: Answered) => BoundEndpoint;

function answer<E extends Endpoint>(endpoint: E, ...replies: ReplyOf<E>[]): Answers {
  return (called) => ({
    endpoint,
    handler: (request, context) => {
      called.requests.push(request);
      called.calls.push(context);
      return Promise.resolve(replies.length > 1 ? replies.shift() : replies[0]);
    },
  });
}

/** Runs a command line against services that answer so. */
async function ml(words: readonly string[], ...answers: Answers[]): Promise<Answered> {
  const called: Answered = { code: -1, printed: "", requests: [], calls: [] };
  await using bus = await startTestBus();
  await using _service = await serveEndpoints(bus, {
    service: "stub",
    version: "1.0.0",
    endpoints: answers.map((bound) => bound(called)),
    log: silentLogger,
  });
  const request = readCommandLine(words, COMMANDS);
  assert("command" in request);
  called.code = await request.command.run(request.args, {
    print: (text) => called.printed += `${text}\n`,
    progress: () => {},
    connect: () => bus.connect(),
    path: (given) => given,
    actor: "tester",
  });
  return called;
}

const row = {
  source: "orders",
  accepted: 1200,
  pending: 0,
  stored: 1190,
  rejected: 4,
  duplicates: 6,
  deadLettered: 0,
  balanced: true,
};

Deno.test("ml ledger prints a row for each source, and fails when one does not balance", async () => {
  const table = await ml(["ledger", "--source", "orders"], answer(ledger, { sources: [row], next: null }));
  assertEquals([table.code, table.requests], [0, [{ source: "orders", by: "source", limit: 1_000 }]]);
  assertStringIncludes(table.printed, "orders  all     1,200        0   1,190         4           6");
  const broken = { ...row, day: "2026-01-31", balanced: false };
  const json = await ml(
    ["ledger", "--by", "day", "--json"],
    answer(ledger, { sources: [broken], next: null }),
  );
  assertEquals([json.code, JSON.parse(json.printed)], [1, { sources: [broken] }]);
});

Deno.test("ml rejected names each record's file, line and reasons", async () => {
  const record = {
    number: 7,
    source: "orders",
    origin: "EVENTS/3/0",
    file: { name: "ab".repeat(32), line: 17 },
    receivedAt: "2026-01-31T00:00:00.000Z",
    payload: "1;2",
    sealed: false,
    cut: false,
    reasons: [{ path: "/price", message: "must be a number" }, { path: "", message: "has 2 fields" }],
  };
  const { printed, requests } = await ml(
    ["rejected", "--limit", "2", "--path", "/price"],
    answer(rejected, { rejected: [record, { ...record, number: 6, file: null, sealed: true }], next: "6" }),
  );
  assertEquals(requests, [{ limit: 2, path: "/price" }]);
  assertStringIncludes(printed, "abababababab:17");
  assertStringIncludes(printed, "/price: must be a number; has 2 fields");
  assertStringIncludes(printed, "EVENTS/3/0");
  assertStringIncludes(printed, "(sealed)");
  assertStringIncludes(printed, "More with --after 6");
});

Deno.test("ml redrive rejected goes through all pages, and fails when some are still rejected", async () => {
  const page = { stored: 400, duplicates: 0, rejected: 100 };
  const paged = await ml(
    ["redrive", "rejected", "--source", "orders"],
    answer(redriveRejected, { ...page, next: "500" }, { stored: 7, duplicates: 1, rejected: 0, next: null }),
  );
  assertEquals(paged.requests.map((request) => (request as { after?: string }).after), [undefined, "500"]);
  assertEquals(paged.printed, "Redriven: 407 stored, 1 duplicates, 100 rejected\n");
  assertEquals(paged.code, 1);
  assertEquals(paged.calls.map(({ actor }) => actor), ["tester", "tester"]);
  assertEquals(new Set(paged.calls.map(({ idempotencyKey }) => idempotencyKey)).size, 2);

  const chosen = await ml(
    ["redrive", "rejected", "--number", "3", "--number", "4", "--json"],
    answer(redriveRejected, { stored: 2, duplicates: 0, rejected: 0, next: null }),
  );
  assertEquals((chosen.requests[0] as { numbers: number[] }).numbers, [3, 4]);
  assertEquals([chosen.code, JSON.parse(chosen.printed)], [0, { stored: 2, duplicates: 0, rejected: 0 }]);
});

Deno.test("ml redrive quarantined sends a fix with its record", async () => {
  const { requests, code } = await ml(
    ["redrive", "quarantined", "--number", "9", "--fix", '{"quantity": 3, "note": null}'],
    answer(redriveQuarantined, { clean: 1, filtered: 0, quarantined: 0, next: null }),
  );
  assertEquals(code, 0);
  const [{ numbers, fix }] = requests as [{ numbers: number[]; fix: unknown }];
  assertEquals([numbers, fix], [[9], { quantity: 3, note: null }]);
});

Deno.test("ml redrive dead-letters sends the letters that there are, and tells which stay", async () => {
  const letter = {
    name: "orders",
    stream: "CLEAN",
    sequence: 1,
    attempts: 5,
    at: "2026-01-31T00:00:00.000Z",
    reasons: [{ path: "", message: "went wrong" }],
    payload: "{}",
    bytes: 2,
  };
  const lettersOf = (...numbers: number[]) => numbers.map((number) => ({ ...letter, number }));
  const service = "feature-store";
  const { code, printed, requests } = await ml(
    ["redrive", "dead-letters", "--service", service, "--name", "orders"],
    answer(
      listDeadLetters(service),
      { deadLetters: lettersOf(9, 8), next: "8" },
      { deadLetters: lettersOf(4), next: null },
    ),
    answer(redriveDeadLetters(service), {
      redriven: 2,
      failed: [{ number: 8, reason: "its stream is gone" }],
      more: false,
    }),
  );
  assertEquals(requests.at(-1), { numbers: [4, 8, 9] });
  assertEquals([code, printed], [1, "Number 8 stays: its stream is gone\nRedriven: 2 redriven, 1 failed\n"]);
});

const replay: Replay = {
  run: "r1",
  source: "orders",
  from: "2026-01-31T00:00:00.000Z",
  until: null,
  where: null,
  to: "all",
  rate: null,
  pace: null,
  state: "running",
  read: 0,
  published: 0,
  position: null,
  actor: "tester",
  startedAt: "2026-02-01T00:00:00.000Z",
  finishedAt: null,
  reason: null,
};

Deno.test("ml replay start waits for the end of the replay, or does not", async () => {
  const words = [
    "replay",
    "start",
    "--source",
    "orders",
    "--from",
    "2026-01-31",
    "--to",
    "all",
    "--rate",
    "50",
  ];
  const done = { ...replay, state: "done" as const, read: 9, published: 7 };
  const waited = await ml(words, answer(startReplay, replay), answer(getReplay, replay, done));
  assertEquals(waited.requests, [
    { source: "orders", from: "2026-01-31T00:00:00.000Z", to: "all", rate: 50 },
    { run: "r1" },
    { run: "r1" },
  ]);
  assertEquals([waited.code, waited.printed], [0, "Replay r1 of orders is done: 7 of 9 records published\n"]);

  const failed = { ...replay, state: "failed" as const, reason: "the stream REPLAY is gone" };
  const broken = await ml(words, answer(startReplay, replay), answer(getReplay, failed));
  assertEquals(broken.code, 1);
  assertStringIncludes(broken.printed, "is failed: the stream REPLAY is gone");

  const detached = await ml([...words, "--detach"], answer(startReplay, replay));
  assertEquals([detached.code, detached.requests.length], [0, 1]);
});

Deno.test("ml release needs a reason, and says when the source is not held", async () => {
  const { code, printed, requests } = await ml(
    ["release", "orders", "--reason", "mended"],
    answer(releaseBlock, { released: false, held: 0 }),
  );
  assertEquals([code, printed, requests], [
    1,
    "The source orders is not held\n",
    [{ source: "orders", reason: "mended" }],
  ]);
});
