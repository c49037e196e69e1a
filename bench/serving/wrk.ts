/** Load by wrk, which Debian has: as many connections as are asked for, each with one request at a time. @module */
import { join } from "node:path";

export interface Load {
  url: string;
  /** Sent with every request ... */
  body?: string | Uint8Array;
  /** ... or one after the other, over and over. */
  bodies?: readonly (string | Uint8Array)[];
  connections: number;
  seconds: number;
  headers?: Readonly<Record<string, string>>;
}

export interface LoadResult {
  /** Answered with 2xx. */
  requests: number;
  /** Answered otherwise, or not at all. */
  failed: number;
  perSecond: number;
  p50Us: number;
  p99Us: number;
}

/** Whether wrk is there. */
export async function hasWrk(): Promise<boolean> {
  try {
    await new Deno.Command("wrk", { args: ["--version"], stdout: "null", stderr: "null" }).output();
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Of bytes each by its number, which ends where another digit could not be taken for its own. */
const luaText = (body: string | Uint8Array): string =>
  typeof body === "string"
    ? JSON.stringify(body)
    : `"${Array.from(body, (byte) => `\\${String(byte).padStart(3, "0")}`).join("")}"`;

/** @param folder where its script is put @throws when wrk can't load it */
export async function runLoad(
  { url, body, bodies = [body ?? ""], connections, seconds, headers = {} }: Load,
  folder: string,
): Promise<LoadResult> {
  const script = join(folder, "load.lua");
  const lines = Object.entries({ "content-type": "application/json", ...headers })
    .map(([name, value]) => `wrk.headers["${name}"] = "${value}"`);
  await Deno.writeTextFile(
    script,
    [
      `wrk.method = "POST"`,
      ...lines,
      `local bodies = {${bodies.map(luaText).join(",")}}`,
      `local at = 0`,
      `request = function()`,
      `  at = at % #bodies + 1`,
      `  return wrk.format(nil, nil, nil, bodies[at])`,
      `end`,
      `done = function(summary, latency)`,
      `  local errors = summary.errors`,
      `  io.write(string.format('RESULT {"requests":%d,"us":%d,"p50":%d,"p99":%d,"failed":%d}',`,
      `    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),`,
      `    errors.connect + errors.read + errors.write + errors.status + errors.timeout))`,
      `end`,
    ].join("\n"),
  );
  const { stdout, stderr } = await new Deno.Command("wrk", {
    args: ["-t1", `-c${connections}`, `-d${seconds}s`, "-s", script, url],
  }).output();
  const text = new TextDecoder();
  const [, json] = /RESULT (\{.*\})/.exec(text.decode(stdout)) ?? [];
  if (json === undefined) throw new Error(`Cannot load ${url}: ${text.decode(stderr)}`);
  const result = JSON.parse(json) as Record<"requests" | "us" | "p50" | "p99" | "failed", number>;
  const requests = result.requests - result.failed;
  return {
    requests,
    failed: result.failed,
    perSecond: requests / result.us * 1e6,
    p50Us: result.p50,
    p99Us: result.p99,
  };
}
