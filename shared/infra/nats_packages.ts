/**
 * nats-server by the tools that a machine may have: Go, apt and dpkg, Homebrew. None of them needs root.
 *
 * Needs `--allow-run`, `--allow-env=PATH`, and reading of /etc/apt.
 *
 * @module
 */

import { join } from "node:path";
import { readIfThere } from "./folders.ts";
import { type CommandResult, programsOnPath, run } from "./command.ts";
import type { FetchContext } from "./nats_fetch.ts";

/** Compiling takes a minute or two; a slow line may add to it. */
const BUILD_WITHIN_MS = 900_000;
/** The package lists alone are 10 MB. */
const APT_WITHIN_MS = 300_000;

/** Compiles it by `go install`. */
export async function goToolchain(context: FetchContext): Promise<string> {
  const go = await programFor("go", context);
  const module = `github.com/nats-io/nats-server/v2@v${context.version}`;
  context.say(`Building ${module} with ${go}, which takes a minute or two`);
  expectSuccess(
    await run(go, ["install", module], {
      env: { GOBIN: context.scratch, ...pathOf(context) },
      timeoutMs: BUILD_WITHIN_MS,
    }),
  );
  return join(context.scratch, "nats-server");
}

/** The first Debian release whose nats-server is new enough; its program runs on older ones too. */
const DEBIAN_SUITE = "trixie";
const DEBIAN_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";

/** Takes it out of Debian's package, by an apt that keeps all it writes in the scratch folder. */
export async function debianPackage(context: FetchContext): Promise<string> {
  const { scratch } = context;
  const aptGet = await programFor("apt-get", context);
  const dpkg = await programFor("dpkg", context);
  if (await readIfThere(DEBIAN_KEYRING) === undefined) throw new Error(`${DEBIAN_KEYRING} is not there`);
  for (const folder of ["lists/partial", "archives/partial"]) {
    await Deno.mkdir(join(scratch, "apt", folder), { recursive: true });
  }
  const mirror = await configuredMirror();
  if (mirror === undefined) throw new Error("apt of this machine names no mirror of Debian");
  const sources = join(scratch, "apt", "sources.list");
  await Deno.writeTextFile(sources, `deb [signed-by=${DEBIAN_KEYRING}] ${mirror} ${DEBIAN_SUITE} main\n`);
  // What is not named here, such as a proxy, stays as the machine's own apt has it.
  const settings = {
    "Dir::Etc::SourceList": sources,
    "Dir::Etc::SourceParts": "-",
    "Dir::Etc::PreferencesParts": "-",
    "Dir::State::Lists": join(scratch, "apt", "lists"),
    "Dir::State::Status": "/dev/null",
    "Dir::Cache": join(scratch, "apt"),
    "Dir::Cache::Archives": join(scratch, "apt", "archives"),
    "Acquire::Languages": "none",
    "Acquire::Retries": "1",
    "Acquire::http::Timeout": "20",
    "Acquire::https::Timeout": "20",
    // As root, apt would change to an account that can't write to the scratch folder.
    "APT::Sandbox::User": "root",
  };
  const options = Object.entries(settings).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
  const apt = (...args: string[]) =>
    run(aptGet, ["-q", ...options, ...args], {
      cwd: scratch,
      env: pathOf(context),
      timeoutMs: APT_WITHIN_MS,
    });
  context.say(`Fetching nats-server of Debian ${DEBIAN_SUITE} from ${mirror}`);
  expectSuccess(await apt("update", "--error-on=any"));
  expectSuccess(await apt("download", "nats-server"));
  const archive = (await Array.fromAsync(Deno.readDir(scratch))).find(({ name }) => name.endsWith(".deb"));
  if (archive === undefined) throw new Error(`${aptGet} download left no package`);
  const unpacked = join(scratch, "package");
  expectSuccess(await run(dpkg, ["-x", join(scratch, archive.name), unpacked], { env: pathOf(context) }));
  const [program] = await programsOnPath(
    "nats-server",
    ["usr/bin", "usr/sbin"].map((folder) => join(unpacked, folder)).join(":"),
  );
  if (program === undefined) throw new Error(`${archive.name} holds no nats-server`);
  return program;
}

/** The address that this machine's apt uses for Debian itself; `undefined` when it names none. */
async function configuredMirror(): Promise<string | undefined> {
  const files = ["/etc/apt/sources.list", "/etc/apt/sources.list.d/debian.sources"];
  for (const file of files) {
    const mirror = debianMirror(await readIfThere(file) ?? "");
    if (mirror !== undefined) return mirror;
  }
  return undefined;
}

/**
 * The first address in an apt sources file, of either format, whose path ends in `/debian`: those of security
 * updates and of other vendors have other paths.
 */
export function debianMirror(sources: string): string | undefined {
  for (const line of sources.split("\n")) {
    const isSource = /^\s*(deb\s|URIs:)/.test(line);
    const address = isSource ? line.match(/https?:\/\/\S+?\/debian(?=\/?(\s|$))/)?.[0] : undefined;
    if (address !== undefined) return address;
  }
  return undefined;
}

/** Installs it for this user's Homebrew, which owns its folder. */
export async function homebrew(context: FetchContext): Promise<string> {
  const brew = await programFor("brew", context);
  context.say("Installing nats-server by brew");
  const env = pathOf(context);
  expectSuccess(await run(brew, ["install", "--quiet", "nats-server"], { env, timeoutMs: BUILD_WITHIN_MS }));
  const prefix = await run(brew, ["--prefix", "nats-server"], { env });
  expectSuccess(prefix);
  return join(prefix.stdout.trim(), "bin", "nats-server");
}

async function programFor(name: string, context: FetchContext): Promise<string> {
  const [program] = await programsOnPath(name, context.env("PATH"));
  if (program === undefined) throw new Error(`${name} is not on PATH`);
  return program;
}

function pathOf(context: FetchContext): Record<string, string> {
  return { PATH: context.env("PATH") ?? "" };
}

function expectSuccess(result: CommandResult): void {
  if (!result.ok) throw new Error(result.reason);
}
