import type { FileOptions, Upload } from "shared/contracts/data_ingestion.ts";
import type { Queryable } from "shared/db/connection.ts";

/** What is known of a file when it begins. */
export interface NewUpload {
  upload: string;
  source: string;
  name: string;
  options: FileOptions;
  sha256: string | null;
  actor: string;
}

/** How far a file has been taken. */
export interface UploadPosition {
  offset: number;
  line: number;
  records: number;
  /** Of CSV: the names of the columns, once they are read. */
  header: readonly string[] | null;
}

type Row = Omit<Upload, "options"> & FileOptions;

const toUpload = ({ format, delimiter, empty, ...row }: Row): Upload => ({
  ...row,
  options: { format, delimiter, empty },
});

const columns = (db: Queryable) =>
  db`upload, source, name, format, delimiter, empty, sha256, state, position as "offset", line, records, actor,
    started_at as "startedAt", changed_at as "changedAt"`;

/** Begins an upload, or finds the one of the same file that is to be read in the same way. */
export async function insertUpload(db: Queryable, upload: NewUpload): Promise<Upload> {
  const { source, sha256, options: { format, delimiter, empty } } = upload;
  const [inserted] = await db<Row[]>`
    insert into uploads (upload, source, name, format, delimiter, empty, sha256, actor)
    values (${upload.upload}, ${source}, ${upload.name}, ${format}, ${delimiter}, ${empty}, ${sha256},
      ${upload.actor})
    on conflict do nothing
    returning ${columns(db)}`;
  if (inserted !== undefined) return toUpload(inserted);
  const [known] = await db<Row[]>`
    select ${columns(db)} from uploads
    where source = ${source} and sha256 = ${sha256} and format = ${format} and delimiter = ${delimiter}
      and empty = ${empty}`;
  // Swept between the two statements: it can begin now.
  return known === undefined ? await insertUpload(db, upload) : toUpload(known);
}

export async function selectUpload(db: Queryable, upload: string): Promise<Upload | undefined> {
  const [row] = await db<Row[]>`select ${columns(db)} from uploads where upload = ${upload}`;
  return row && toUpload(row);
}

/** Who takes an upload's bytes: one at a time. */
export interface Hold {
  upload: string;
  holder: string;
}

/**
 * Lets one sender go on from an offset, for so long at first.
 *
 * @returns where the file stands, or `undefined` when another one holds it, it is complete, or stands elsewhere
 */
export async function holdUpload(
  db: Queryable,
  { upload, holder }: Hold,
  { offset, seconds }: { offset: number; seconds: number },
): Promise<UploadPosition | undefined> {
  const [row] = await db<UploadPosition[]>`
    update uploads
    set holder = ${holder}, held_until = now() + make_interval(secs => ${seconds})
    where upload = ${upload} and state = 'open' and position = ${offset}
      and (holder is null or held_until < now())
    returning position as "offset", line, records, header`;
  return row;
}

/** Says that the sender is still there. */
export async function keepHold(db: Queryable, { upload, holder }: Hold, seconds: number): Promise<void> {
  await db`
    update uploads set held_until = now() + make_interval(secs => ${seconds})
    where upload = ${upload} and holder = ${holder}`;
}

/** @returns false when the sender was given up, and another one may be at it */
export async function advanceUpload(
  db: Queryable,
  { upload, holder }: Hold,
  { offset, line, records, header }: UploadPosition,
): Promise<boolean> {
  const { count } = await db`
    update uploads
    set position = ${offset}, line = ${line}, records = ${records}, changed_at = now(),
      header = ${header === null ? null : JSON.stringify(header)}::text::json
    where upload = ${upload} and holder = ${holder}`;
  return count === 1;
}

/** Lets go of an upload, which is complete now or goes on later. */
export async function releaseUpload(
  db: Queryable,
  { upload, holder }: Hold,
  state: Upload["state"],
): Promise<void> {
  await db`
    update uploads set holder = null, held_until = null, state = ${state}, changed_at = now()
    where upload = ${upload} and holder = ${holder}`;
}

/** Forgets uploads that nobody has gone on with for so many days. @returns how many */
export async function forgetUploads(db: Queryable, days: number): Promise<number> {
  const { count } = await db`delete from uploads where changed_at < now() - make_interval(days => ${days})`;
  return count;
}
