/**
 * `deno run -A bench/peers/install.ts GROUP`: makes the virtual environment of one group of peers, outside the
 * repository. What a group is made of stands, pinned, in `bench/peers/GROUP.txt`.
 *
 * @module
 */
import { peerFolder } from "./peer.ts";

async function main([group]: string[]): Promise<number> {
  const here = new URL(".", import.meta.url);
  const groups = [...Deno.readDirSync(here)].map(({ name }) => name)
    .filter((name) => name.endsWith(".txt")).map((name) => name.slice(0, -".txt".length));
  if (group === undefined || !groups.includes(group)) {
    Deno.stderr.writeSync(new TextEncoder().encode(`Usage: install.ts ${groups.toSorted().join(" | ")}\n`));
    return 2;
  }
  const folder = peerFolder(group);
  await run("python3", "-m", "venv", folder);
  await run(
    `${folder}/bin/pip`,
    "install",
    "--quiet",
    "--requirement",
    new URL(`${group}.txt`, here).pathname,
  );
  return 0;
}

async function run(command: string, ...args: string[]): Promise<void> {
  const { success } = await new Deno.Command(command, { args }).spawn().status;
  if (!success) throw new Error(`Cannot install the peers: ${command} has failed`);
}

if (import.meta.main) Deno.exit(await main(Deno.args));
