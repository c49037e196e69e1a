/** `ml load`: takes a file in, and says what came of it. @module */
import { basename } from "node:path";
import {
  FILE_FORMATS,
  type FileOptions,
  fileOptionsSchema,
  ledger,
  type LedgerRow,
  rejected,
  startUpload,
  type Upload,
} from "shared/contracts/data_ingestion.ts";
import { delay } from "shared/delay.ts";
import { invalid } from "shared/errors.ts";
import { detectFile } from "shared/files/detect_file.ts";
import { parseWith } from "shared/validation.ts";
import { type CommandContext, defineCommand, given, required } from "./command.ts";
import { createIntakeClient, type IntakeClient } from "./intake_client.ts";
import { fingerprint, headOf } from "./local_file.ts";
import { renderReason } from "./render_error.ts";
import { renderTable } from "./table.ts";
import { sendFile, type SendProgress } from "./send_file.ts";

const DEFAULT_URL = "http://127.0.0.1:8001";
const HEAD_BYTES = 64 * 1024;
const LOOK_EVERY_MS = 500;
const SHOWN_REJECTS = 10;

export const load = defineCommand({
  name: "load",
  summary: "take a file in: CSV, lines of JSON, Parquet or lines of a log, also as .gz",
  positionals: ["FILE"],
  options: {
    source: { type: "string", value: "NAME", about: "the source that takes the records" },
    format: {
      type: "string",
      value: FILE_FORMATS.join("|"),
      about: "default: as its name and beginning say",
    },
    delimiter: {
      type: "string",
      value: "CHARACTER",
      about: "of CSV, between fields; default: the one found",
    },
    empty: {
      type: "string",
      value: "omit|text",
      about: "of CSV, what an empty field is; default: omit, no field",
    },
    url: { type: "string", value: "URL", about: `data-ingestion's address; default ${DEFAULT_URL}` },
    detach: { type: "boolean", about: "do not wait until the records are dealt with" },
  },
  details:
    "What breaks off goes on from there when the same command runs again; a file that was loaded is not taken\n" +
    "twice. Exit code 1 when records of the file were rejected: deno task ml rejected --file lists them.",
  async run({ positionals, options }, context) {
    const [file = ""] = positionals;
    const source = required(options.source, "source");
    const path = context.path(file);
    const fileOptions = await optionsOf(path, options);
    const client = createIntakeClient({
      url: options.url ?? DEFAULT_URL,
      actor: context.actor,
      onWait: (reason) => context.progress(`Waiting: ${reason}`),
    });

    const { sha256, bytes } = await fingerprint(
      path,
      (read) => context.progress(`Reading ${basename(path)}: ${megabytes(read)}`),
    );
    const upload = await client.send({
      method: "POST",
      path: "/v1/uploads",
      headers: { "content-type": "application/json" },
      body: () => JSON.stringify({ source, name: basename(path), options: fileOptions, sha256 }),
    }, startUpload.spec.reply);
    context.print(begunText(upload));
    const done = upload.state === "complete" ? upload : await sendFile(client, {
      path,
      upload,
      onProgress: (progress) => context.progress(progressText(progress, bytes)),
    });
    context.print(`Taken: ${count(done.records)} records of ${basename(path)} (SHA-256 ${sha256})`);
    if (options.detach) return 0;
    return await tellOutcome(client, { source, sha256, context });
  },
});

async function optionsOf(
  path: string,
  options: { format?: string; delimiter?: string; empty?: string },
): Promise<FileOptions> {
  const { format, empty } = options;
  // Shells make it hard to write a tab.
  const delimiter = options.delimiter === "\\t" ? "\t" : options.delimiter;
  const detected = detectFile(path, await headOf(path, HEAD_BYTES))?.options;
  const base = format === undefined || format === detected?.format ? detected : { format };
  if (base === undefined) {
    throw invalid(
      `Cannot load ${path}: neither its name nor its beginning tells its format; say it with --format ` +
        FILE_FORMATS.join("|"),
    );
  }
  return parseWith(fileOptionsSchema, { ...base, ...given({ delimiter, empty }) }, `load ${path}`);
}

function begunText({ state, options, offset, line, changedAt }: Upload): string {
  const read = options.format === "csv"
    ? `csv, fields divided by ${JSON.stringify(options.delimiter)}`
    : options.format;
  if (state === "complete") return `Loaded before, at ${changedAt}, as ${read}: nothing to send`;
  return offset === 0 ? `Loading as ${read}` : `Going on behind line ${count(line)}, as ${read}`;
}

function progressText({ upload, elapsedMs, records }: SendProgress, bytes: number): string {
  const taken = upload.options.format === "parquet"
    ? `${count(upload.offset)} rows`
    : `${megabytes(upload.offset)} of ${megabytes(bytes)}`;
  const rate = elapsedMs > 0 ? `, ${count(Math.round(records / elapsedMs * 1_000))} records/s` : "";
  return `${taken}, ${count(upload.records)} records${rate}`;
}

/** Waits until everything that was received for the source is dealt with, and tells how its ledger stands. */
async function tellOutcome(
  client: IntakeClient,
  { source, sha256, context }: { source: string; sha256: string; context: CommandContext },
): Promise<number> {
  const row = await settled(client, source, context);
  if (row !== undefined) {
    context.print(renderTable([row], [
      { title: "ledger of", of: ({ source }) => source },
      { title: "accepted", of: ({ accepted }) => accepted },
      { title: "stored", of: ({ stored }) => stored },
      { title: "rejected", of: ({ rejected }) => rejected },
      { title: "duplicates", of: ({ duplicates }) => duplicates },
      { title: "dead letters", of: ({ deadLettered }) => deadLettered },
      { title: "balanced", of: ({ balanced }) => balanced ? "yes" : "NO" },
    ]));
  }
  const query = new URLSearchParams({ source, file: sha256, limit: String(SHOWN_REJECTS) });
  const page = await client.send({ method: "GET", path: `/v1/rejected?${query}` }, rejected.spec.reply);
  if (page.rejected.length === 0) return 0;
  const all = page.next === null ? "" : ", the last of them";
  context.print(`Rejected of this file${all}:`);
  for (const { file, reasons } of page.rejected.toReversed()) {
    context.print(`  line ${file?.line}: ${reasons.map(renderReason).join("; ")}`);
  }
  context.print(`All of them: deno task ml rejected --source ${source} --file ${sha256}`);
  return 1;
}

async function settled(
  client: IntakeClient,
  source: string,
  context: CommandContext,
): Promise<LedgerRow | undefined> {
  for (;;) {
    const { sources: [row] } = await client.send({
      method: "GET",
      path: `/v1/ledger?${new URLSearchParams({ source })}`,
    }, ledger.spec.reply);
    if (row === undefined || row.pending === 0) return row;
    context.progress(
      `${count(row.pending)} messages wait to be dealt with, ${count(row.stored)} records are stored`,
    );
    await delay(LOOK_EVERY_MS);
  }
}

const numbers = new Intl.NumberFormat("en");
const count = (value: number) => numbers.format(value);
const megabytes = (bytes: number) => `${(bytes / 1_000_000).toFixed(1)} MB`;
