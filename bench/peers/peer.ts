/** Peers from PyPI, each group in a virtual environment of its own. @module */

/** Where a group's environment lies: in `MICROML_PEERS`, by default `~/.cache/microml/peers`. */
export function peerFolder(group: string): string {
  const root = Deno.env.get("MICROML_PEERS") ?? `${Deno.env.get("HOME")}/.cache/microml/peers`;
  return `${root}/${group}`;
}

/** The Python of a group of peers; undefined when it is not installed. */
export function findPeer(group: string): string | undefined {
  const python = `${peerFolder(group)}/bin/python`;
  try {
    Deno.statSync(python);
    return python;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** What a benchmark notes when its peer is missing. */
export const peerMissing = (group: string): string =>
  `no peer: \`deno run -A bench/peers/install.ts ${group}\` installs it`;

/** Runs a program to its end and reads the JSON that is its last line. @throws when it fails */
export async function runForJson(command: string, args: readonly string[]): Promise<Record<string, number>> {
  const { success, stdout, stderr } = await new Deno.Command(command, { args: [...args] }).output();
  const text = new TextDecoder();
  if (!success) throw new Error(`Cannot measure with ${command}: ${text.decode(stderr)}`);
  return JSON.parse(text.decode(stdout).trim().split("\n").at(-1)!);
}
