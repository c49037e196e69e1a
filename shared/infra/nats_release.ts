/**
 * nats-server from the project's own release page, checked against the sums published beside it.
 *
 * Needs `--allow-net` for the page (github.com and where it redirects to), `--allow-run=tar`.
 *
 * @module
 */

import { join } from "node:path";
import { run } from "./command.ts";
import type { FetchContext } from "./nats_fetch.ts";

/** Another address, such as a mirror's, is set by `NATS_RELEASE_URL`. */
const RELEASE_URL = "https://github.com/nats-io/nats-server/releases/download";

/** The names that the release page uses for what Deno calls x86_64 and aarch64. */
const ARCHITECTURES: Readonly<Record<string, string>> = { "x86_64": "amd64", aarch64: "arm64" };

/** Fetches, checks and unpacks the archive of `context.version`; throws with the reason when it can't. */
export async function releaseArchive(context: FetchContext): Promise<string> {
  const { version, platform, scratch, silenceMs } = context;
  const arch = ARCHITECTURES[platform.arch];
  if (arch === undefined || !["linux", "darwin"].includes(platform.os)) {
    throw new Error(`there is none for ${platform.os} on ${platform.arch}`);
  }
  const name = `nats-server-v${version}-${platform.os}-${arch}`;
  const archiveName = `${name}.tar.gz`;
  const page = `${context.env("NATS_RELEASE_URL") || RELEASE_URL}/v${version}`;

  const sums = new TextDecoder().decode(await download(`${page}/SHA256SUMS`, silenceMs));
  const wanted = sumOf(sums, archiveName);
  if (wanted === undefined) throw new Error(`${page}/SHA256SUMS has no line for ${archiveName}`);
  context.say(`Fetching ${page}/${archiveName}`);
  const archive = await download(`${page}/${archiveName}`, silenceMs);
  const got = new Uint8Array(await crypto.subtle.digest("SHA-256", archive)).toHex();
  if (got !== wanted) {
    throw new Error(`the SHA-256 of ${archiveName} is ${got}, and ${page}/SHA256SUMS wants ${wanted}`);
  }

  const file = join(scratch, archiveName);
  await Deno.writeFile(file, archive);
  const unpacked = await run("tar", ["-xzf", file, "-C", scratch]);
  if (!unpacked.ok) throw new Error(`cannot unpack ${archiveName}: ${unpacked.reason}`);
  return join(scratch, name, "nats-server");
}

/** The sum of `fileName` in the text of a SHA256SUMS file; `undefined` when it has none. */
function sumOf(sums: string, fileName: string): string | undefined {
  for (const line of sums.split("\n")) {
    const [sum, name] = line.trim().split(/\s+\*?/);
    if (name === fileName) return sum?.toLowerCase();
  }
  return undefined;
}

/** The whole body at `url`. Gives up when the server says nothing for `silenceMs`, however long it takes. */
async function download(url: string, silenceMs: number): Promise<Uint8Array<ArrayBuffer>> {
  const silence = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const heard = () => {
    clearTimeout(timer);
    timer = setTimeout(() => silence.abort(), silenceMs);
  };
  try {
    heard();
    const response = await fetch(url, { signal: silence.signal });
    if (!response.ok || response.body === null) {
      await response.body?.cancel();
      throw new Error(`${url} answers ${response.status} ${response.statusText}`.trim());
    }
    const listen = new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, out) {
        heard();
        out.enqueue(chunk);
      },
    });
    return await new Response(response.body.pipeThrough(listen)).bytes();
  } catch (error) {
    if (silence.signal.aborted) throw new Error(`${url} is silent for ${silenceMs / 1000} s`);
    // What fetch throws says only that it failed; the reason is in the cause.
    const cause = error instanceof TypeError ? error.cause : undefined;
    throw cause instanceof Error ? cause : error;
  } finally {
    clearTimeout(timer);
  }
}
