import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { join } from "node:path";
import { freePort } from "./ports.ts";
import { type FindNatsOptions, findNatsServer, parseNatsVersion, PINNED_NATS } from "./nats_server.ts";
import { environment, makeTestFolder, natsOfVersion, type TestFolder } from "./test_folder.ts";

/** A machine whose PATH is the test folder's `path`, and which reaches no release page. */
function machine(folder: TestFolder, variables: Record<string, string> = {}) {
  const lines: string[] = [];
  const nobody = `http://127.0.0.1:${freePort()}`;
  const options: FindNatsOptions = {
    root: join(folder.path, "root"),
    say: (line) => lines.push(line),
    env: environment({ PATH: join(folder.path, "path"), NATS_RELEASE_URL: nobody, ...variables }),
    platform: { os: "linux", arch: "x86_64" },
  };
  return { lines, options, copy: join(folder.path, "root", ".microml", "bin", "nats-server") };
}

Deno.test("parseNatsVersion() reads releases, pre-releases and nothing else", () => {
  assertEquals(parseNatsVersion("nats-server: v2.14.9\n"), [2, 14]);
  assertEquals(parseNatsVersion("nats-server: 2.10.27"), [2, 10]);
  assertEquals(parseNatsVersion("nats-server: v2.15.0-RC.1"), [2, 15]);
  assertEquals(parseNatsVersion("gnatsd 1.4"), undefined);
});

Deno.test("findNatsServer() takes NATS_SERVER_BIN before PATH, and PATH before a fetched copy", async () => {
  await using folder = await makeTestFolder();
  const named = await folder.program("named/server", natsOfVersion("2.10.0"));
  const onPath = await folder.program("path/nats-server", natsOfVersion("2.11.0"));
  const copy = await folder.program("root/.microml/bin/nats-server", natsOfVersion("2.12.0"));
  const variables = { NATS_SERVER_BIN: named };

  const { lines, options } = machine(folder, variables);
  assertEquals(await findNatsServer(options), named);
  await Deno.remove(named);
  assertEquals(await findNatsServer(options), onPath);
  await Deno.remove(onPath);
  assertEquals(await findNatsServer(options), copy);
  assertEquals(lines, Array(2).fill(`nats-server by NATS_SERVER_BIN: ${named} is not there`));
});

Deno.test("findNatsServer() passes over a server on PATH that is older than 2.10, and says so", async () => {
  await using folder = await makeTestFolder();
  const old = await folder.program("path/nats-server", natsOfVersion("2.9.10"));
  const good = await folder.program("second/nats-server", natsOfVersion("3.0.1"));
  const { lines, options } = machine(folder, { PATH: `${folder.path}/path:${folder.path}/second` });
  assertEquals(await findNatsServer(options), good);
  assertEquals(lines, [`nats-server by PATH: ${old} is of version 2.9, and 2.10 or newer is needed`]);
});

Deno.test("findNatsServer() says why each way failed, in order, and what to install", async () => {
  await using folder = await makeTestFolder();
  const { lines, options, copy } = machine(folder);
  const error = await assertRejects(() => findNatsServer(options), Error);
  assertMatch(error.message, /^Cannot get nats-server 2\.10 or newer: install it .*, or set NATS_SERVER_BIN/);
  assertEquals(lines.toSpliced(2, 1), [
    "nats-server by PATH: there is none",
    `nats-server by a copy fetched before: ${copy} is not there`,
    "nats-server by Go: go is not on PATH",
    "nats-server by Debian's package: apt-get is not on PATH",
    "nats-server by Homebrew: brew is not on PATH",
  ]);
  assertMatch(lines[2] ?? "", /^nats-server by the release archive: .*127\.0\.0\.1.*Connection refused/);
  assertEquals(await leftIn(join(copy, "..")), ["lock"]);
});

Deno.test("findNatsServer() builds the pinned version by Go, keeps it, and does not build it again", async () => {
  await using folder = await makeTestFolder();
  // Plays `go install module@version`: leaves a program in GOBIN that knows what it was built from.
  await folder.program(
    "path/go",
    `[ "$1" = install ] && [ "$2" = github.com/nats-io/nats-server/v2@v${PINNED_NATS} ] || exit 2
     printf '#!/bin/sh\\necho "nats-server: v${PINNED_NATS}"\\n' >"$GOBIN/nats-server"
     chmod +x "$GOBIN/nats-server"
     echo built >>"${folder.path}/builds"`,
  );
  const { options, copy } = machine(folder);
  // Several at once, as the files of `deno test` are: one builds, the others wait.
  const found = await Promise.all([1, 2, 3].map(() => findNatsServer(options)));
  assertEquals(found, [copy, copy, copy]);
  assertEquals(await findNatsServer(options), copy);
  assertEquals(await Deno.readTextFile(join(folder.path, "builds")), "built\n");
  assertEquals(await leftIn(join(copy, "..")), ["lock", "nats-server"]);
});

Deno.test("findNatsServer() tells the last line of a Go build that failed", async () => {
  await using folder = await makeTestFolder();
  await folder.program("path/go", 'echo "go: downloading" >&2; echo "go: no such module" >&2; exit 1');
  const { lines, options } = machine(folder);
  await assertRejects(() => findNatsServer(options));
  assert(lines.includes("nats-server by Go: go: no such module"), lines.join("\n"));
});

Deno.test("findNatsServer() passes over a copy that does not run, and installs by Homebrew", async () => {
  await using folder = await makeTestFolder();
  await folder.program("root/.microml/bin/nats-server", "echo 'exec format error' >&2; exit 126");
  // The program is there once it is installed.
  await folder.program(
    "path/brew",
    `case "$1" in
       install) mkdir "${folder.path}/cellar"; mv "${folder.path}/brewed" "${folder.path}/cellar/bin" ;;
       --prefix) echo "${folder.path}/cellar" ;;
     esac`,
  );
  await folder.program("brewed/nats-server", natsOfVersion("2.12.0"));
  const { lines, options } = machine(folder);
  assertEquals(await findNatsServer(options), join(folder.path, "cellar/bin/nats-server"));
  assertEquals(lines[1], "nats-server by a copy fetched before: exec format error");
});

Deno.test({
  name: "findNatsServer() unpacks Debian's package by apt and dpkg into folders of its own",
  // The way is for machines that have Debian's keys.
  ignore: !isThere("/usr/share/keyrings/debian-archive-keyring.gpg"),
  async fn() {
    await using folder = await makeTestFolder();
    await folder.program(
      "path/apt-get",
      `echo "$@" >>"${folder.path}/calls"
       case "$*" in *" download nats-server") echo archive >nats-server_2.10.27-1_amd64.deb ;; esac`,
    );
    await folder.program(
      "path/dpkg",
      `[ "$1" = -x ] && [ "$(cat "$2")" = archive ] || exit 2
       mkdir -p "$3/usr/bin"
       printf '#!/bin/sh\\necho "nats-server: v2.10.27"\\n' >"$3/usr/bin/nats-server"
       chmod +x "$3/usr/bin/nats-server"`,
    );
    const { options, copy } = machine(folder);
    assertEquals(await findNatsServer(options), copy);
    const calls = await Deno.readTextFile(join(folder.path, "calls"));
    assertMatch(calls, new RegExp(`Dir::State::Lists=${folder.path}/root/.microml/bin/fetch-`));
    assertEquals(await leftIn(join(copy, "..")), ["lock", "nats-server"]);
  },
});

async function leftIn(folder: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name).toSorted();
}

function isThere(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}
