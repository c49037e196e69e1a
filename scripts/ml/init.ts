/** `ml init`: profiles a file and writes a project for it, to apply as it stands or to edit. @module */
import { basename } from "node:path";
import { NAME_PATTERN } from "shared/contracts/names.ts";
import { conflict, invalid } from "shared/errors.ts";
import { defineCommand, required, WrongUsage } from "./command.ts";
import { count } from "./init/describe_field.ts";
import { type FileFacts, learnFile } from "./init/file_facts.ts";
import { type InferredSource, inferSource } from "./init/infer.ts";
import { detectReadableFile } from "./init/file_records.ts";
import { sourceNameOf } from "./init/names.ts";
import { projectText } from "./init/project_text.ts";

const TOLD_EVERY = 10_000;

export const init = defineCommand({
  name: "init",
  summary: "profile a file of CSV, NDJSON, Parquet or log lines (.gz too), and write a project for it",
  options: {
    from: { type: "string", value: "FILE", about: "the file" },
    name: { type: "string", value: "NAME", about: "of the source; default: as the file is called" },
    project: { type: "string", value: "NAME", about: "of the project; default: as the source is called" },
    out: { type: "string", value: "FILE", about: "where the project goes; default project.ts" },
    force: { type: "boolean", about: "write over a file that is there" },
  },
  details:
    `It reads the whole file once, in constant memory, and infers types, nulls, the field with the event time,
ids, what belongs to persons, and what the cleaning can expect. The project applies as it stands; edit it first where you know better.`,
  async run({ options }, context) {
    const { from, out = "project.ts", force = false } = options;
    const file = required(from, "from");
    const source = nameOption(options.name, "name") ?? sourceNameOf(basename(file));
    const project = nameOption(options.project, "project") ?? source;
    const target = context.path(out);
    if (!force && await exists(target)) {
      throw conflict(
        `Cannot write ${out}: it is there already; choose another --out, or --force to write over it`,
      );
    }

    const local = await detectReadableFile(context.path(file));
    const facts = await learnFile(local, {
      onRecord: (records) => records % TOLD_EVERY === 0 && context.progress(`${count(records)} records read`),
    });
    if (facts.records === 0) {
      throw invalid(`Cannot infer a source from ${file}: it has no record that can be read`);
    }
    const inferred = inferSource(facts, { name: source, options: local.options });
    const text = projectText(inferred, facts, { project, source, file: basename(file) });
    await Deno.writeTextFile(target, await formatted(text), { createNew: !force });

    context.print(describe(facts, inferred, file));
    context.print(
      `Wrote ${out}. Look it over, then:\n  deno task ml apply ${out}\n  deno task ml load ${file} --source ${source}`,
    );
    return 0;
  },
});

function nameOption(value: string | undefined, option: string): string | undefined {
  if (value === undefined || NAME_PATTERN.test(value)) return value;
  throw new WrongUsage(`the option --${option} must match ${NAME_PATTERN.source}, not "${value}"`);
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

function describe(
  { records, unreadable, firstUnreadable }: FileFacts,
  { kind, format, time, id, fields }: InferredSource,
  file: string,
) {
  const lines = [`Read ${file}: ${count(records)} records with ${count(fields.length)} fields`];
  if (firstUnreadable !== undefined) {
    const { line, reason } = firstUnreadable;
    lines.push(`  ${count(unreadable)} can't be read; the first, in line ${count(line)}, ${reason}`);
  }
  const lineFormat = format === undefined
    ? ""
    : `, ${typeof format === "string" ? format : "a pattern of your own"}`;
  lines.push(
    `  ${kind}${lineFormat}; event time: ${time?.name ?? "the arrival"}; id: ${
      id.map(({ name }) => name).join(", ") || "file and line"
    }`,
  );
  const personal = fields.filter(({ personal }) => personal !== undefined).map(({ name }) => name);
  if (personal.length > 0) lines.push(`  hashed before they are stored: ${personal.join(", ")}`);
  return lines.join("\n");
}

/** As `deno fmt` has it, whatever settings the folder has. */
async function formatted(text: string): Promise<string> {
  const format = new Deno.Command(Deno.execPath(), {
    args: ["fmt", "--no-config", "--ext", "ts", "--line-width", "110", "-"],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = format.stdin.getWriter();
  await writer.write(new TextEncoder().encode(text));
  await writer.close();
  const { success, stdout, stderr } = await format.output();
  if (!success) throw new Error(`Cannot format the project: ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout);
}
