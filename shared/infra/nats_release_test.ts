import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { join } from "node:path";
import { run } from "./command.ts";
import type { Platform } from "./nats_fetch.ts";
import { findNatsServer, PINNED_NATS } from "./nats_server.ts";
import { environment, makeTestFolder, natsOfVersion, type TestFolder } from "./test_folder.ts";

const TAG = `/v${PINNED_NATS}`;
const LINUX: Platform = { os: "linux", arch: "x86_64" };
const LINUX_NAME = `nats-server-v${PINNED_NATS}-linux-amd64`;

type Answer = (request: Request) => Response | Promise<Response>;

interface ReleasePage extends AsyncDisposable {
  url: string;
  /** The paths asked for, in order. */
  asked: string[];
}

/** Plays the release page: `answers` by path; anything else is 404. */
function startReleasePage(answers: Record<string, Answer>): ReleasePage {
  const asked: string[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    const { pathname } = new URL(request.url);
    asked.push(pathname);
    return answers[pathname]?.(request) ?? new Response("Not Found", { status: 404 });
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    asked,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

/** An archive as the release page has it, around a program that tells this version. */
async function makeArchive(folder: TestFolder, name: string, version: string) {
  await folder.program(`pack/${name}/nats-server`, natsOfVersion(version));
  const file = join(folder.path, "archive.tar.gz");
  const packed = await run("tar", ["-czf", file, "-C", join(folder.path, "pack"), name]);
  assert(packed.ok, packed.reason);
  const bytes = await Deno.readFile(file);
  const sum = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
  return { bytes, sums: `${"0".repeat(64)}  ${name}.zip\n${sum}  ${name}.tar.gz\n` };
}

/** Fetches with nothing at hand but this page; gives what was found and what was said about the archive. */
function fetchFrom(
  page: string,
  folder: TestFolder,
  more: { platform?: Platform; silenceMs?: number } = {},
) {
  const lines: string[] = [];
  const root = join(folder.path, "root");
  const found = findNatsServer({
    root,
    say: (line) => lines.push(line),
    env: environment({ PATH: "", NATS_RELEASE_URL: page }),
    platform: LINUX,
    ...more,
  });
  return {
    found,
    copy: join(root, ".microml", "bin", "nats-server"),
    reason: () => lines.find((line) => line.startsWith("nats-server by the release archive: "))?.slice(36),
  };
}

Deno.test("findNatsServer() fetches the archive for the platform and keeps the program", async () => {
  await using folder = await makeTestFolder();
  for (
    const [platform, suffix] of [
      [LINUX, "linux-amd64"],
      [{ os: "linux", arch: "aarch64" }, "linux-arm64"],
      [{ os: "darwin", arch: "x86_64" }, "darwin-amd64"],
      [{ os: "darwin", arch: "aarch64" }, "darwin-arm64"],
    ] as const
  ) {
    const name = `nats-server-v${PINNED_NATS}-${suffix}`;
    const { bytes, sums } = await makeArchive(folder, name, PINNED_NATS);
    await using page = startReleasePage({
      [`${TAG}/SHA256SUMS`]: () => new Response(sums),
      [`${TAG}/${name}.tar.gz`]: () => new Response(bytes),
    });
    const { found, copy } = fetchFrom(page.url, folder, { platform });
    assertEquals(await found, copy);
    assertMatch((await run(copy, ["--version"])).stdout, new RegExp(`v${PINNED_NATS}`));
    assertEquals((await Array.fromAsync(Deno.readDir(join(copy, "..")))).length, 2, "copy and lock only");
    await Deno.remove(copy);
  }
});

Deno.test("findNatsServer() fetches once for several callers at once", async () => {
  await using folder = await makeTestFolder();
  const { bytes, sums } = await makeArchive(folder, LINUX_NAME, PINNED_NATS);
  await using page = startReleasePage({
    [`${TAG}/SHA256SUMS`]: () => new Response(sums),
    [`${TAG}/${LINUX_NAME}.tar.gz`]: () => new Response(bytes),
  });
  const all = [1, 2, 3, 4].map(() => fetchFrom(page.url, folder));
  for (const { found, copy } of all) assertEquals(await found, copy);
  assertEquals(page.asked, [`${TAG}/SHA256SUMS`, `${TAG}/${LINUX_NAME}.tar.gz`]);
});

Deno.test("findNatsServer() refuses an archive whose sum is another than the release's", async () => {
  await using folder = await makeTestFolder();
  const { bytes, sums } = await makeArchive(folder, LINUX_NAME, PINNED_NATS);
  const other = bytes.slice();
  other[other.length - 1] = (other.at(-1) ?? 0) ^ 1;
  await using page = startReleasePage({
    [`${TAG}/SHA256SUMS`]: () => new Response(sums),
    [`${TAG}/${LINUX_NAME}.tar.gz`]: () => new Response(other),
  });
  const { found, copy, reason } = fetchFrom(page.url, folder);
  await assertRejects(() => found);
  assertMatch(
    reason() ?? "",
    /^the SHA-256 of .*\.tar\.gz is [0-9a-f]{64}, and .*SHA256SUMS wants [0-9a-f]{64}$/,
  );
  await assertRejects(() => Deno.stat(copy), Deno.errors.NotFound);
});

Deno.test("findNatsServer() refuses an archive that is cut off", async () => {
  await using folder = await makeTestFolder();
  const { bytes, sums } = await makeArchive(folder, LINUX_NAME, PINNED_NATS);
  // A server that promises the whole and closes the connection halfway: Deno.serve would not.
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const serving = (async () => {
    for await (const connection of listener) {
      using socket = connection;
      const request = new Uint8Array(4096);
      const length = await socket.read(request) ?? 0;
      const isSums = new TextDecoder().decode(request.subarray(0, length)).includes("SHA256SUMS");
      const [body, promised] = isSums
        ? [new TextEncoder().encode(sums), sums.length]
        : [bytes.subarray(0, bytes.length / 2), bytes.length];
      const head = `HTTP/1.1 200 OK\r\ncontent-length: ${promised}\r\nconnection: close\r\n\r\n`;
      await socket.write(new TextEncoder().encode(head));
      await socket.write(body);
    }
  })();
  const { found, copy, reason } = fetchFrom(`http://127.0.0.1:${listener.addr.port}`, folder);
  await assertRejects(() => found);
  assertMatch(reason() ?? "", /body|closed|end of file|connection/i);
  await assertRejects(() => Deno.stat(copy), Deno.errors.NotFound);
  listener.close();
  await serving.catch(() => {/* the listener's end is the loop's */});
});

Deno.test("findNatsServer() says which page is missing", async () => {
  await using folder = await makeTestFolder();
  await using empty = startReleasePage({});
  const none = fetchFrom(empty.url, folder);
  await assertRejects(() => none.found);
  assertEquals(none.reason(), `${empty.url}${TAG}/SHA256SUMS answers 404 Not Found`);

  await using other = startReleasePage({ [`${TAG}/SHA256SUMS`]: () => new Response("0  other.tar.gz\n") });
  const unlisted = fetchFrom(other.url, folder);
  await assertRejects(() => unlisted.found);
  assertEquals(unlisted.reason(), `${other.url}${TAG}/SHA256SUMS has no line for ${LINUX_NAME}.tar.gz`);
});

Deno.test("findNatsServer() gives up on a release page that falls silent, before or within its answer", async () => {
  await using folder = await makeTestFolder();
  const silence = Promise.withResolvers<Response>();
  {
    await using page = startReleasePage({ [`${TAG}/SHA256SUMS`]: () => silence.promise });
    const { found, reason } = fetchFrom(page.url, folder, { silenceMs: 100 });
    await assertRejects(() => found);
    assertEquals(reason(), `${page.url}${TAG}/SHA256SUMS is silent for 0.1 s`);
    silence.resolve(new Response());
  }
  const begun = new ReadableStream<Uint8Array>({ start: (body) => body.enqueue(new Uint8Array(100)) });
  const { sums } = await makeArchive(folder, LINUX_NAME, PINNED_NATS);
  await using page = startReleasePage({
    [`${TAG}/SHA256SUMS`]: () => new Response(sums),
    [`${TAG}/${LINUX_NAME}.tar.gz`]: () => new Response(begun),
  });
  const { found, reason } = fetchFrom(page.url, folder, { silenceMs: 100 });
  await assertRejects(() => found);
  assertEquals(reason(), `${page.url}${TAG}/${LINUX_NAME}.tar.gz is silent for 0.1 s`);
});

Deno.test("findNatsServer() asks no release page on a platform that it has nothing for", async () => {
  await using folder = await makeTestFolder();
  await using page = startReleasePage({});
  const { found, reason } = fetchFrom(page.url, folder, {
    platform: { os: "freebsd", arch: "x86_64" },
  });
  await assertRejects(() => found);
  assertEquals(reason(), "there is none for freebsd on x86_64");
  assertEquals(page.asked, []);
});
