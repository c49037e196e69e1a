/** Reading the files of versions without keeping anybody waiting. @module */
import { AppError, unavailable } from "shared/errors.ts";
import type { Part } from "shared/lifecycle.ts";
import { callWorker } from "shared/worker_call.ts";
import { admissionOf, readVersionFile, type VersionFile, type VersionName } from "./version_file.ts";
import type { VersionFileTask } from "./version_file_worker.ts";

/** As {@link readVersionFile}; throws `timeout` when it takes too long. */
export type ReadVersion = (file: Uint8Array, name: VersionName) => Promise<VersionFile>;

/** At a stop it gives up what it reads: nobody will ask for it. */
export interface VersionReader extends Part {
  read: ReadVersion;
}

export interface VersionReaderLimits {
  /** Files up to this size are read at once; default 128 KiB. */
  inPlaceBytes?: number;
  /** How long reading another may take, in ms; default 20,000. */
  readMs?: number;
}

/**
 * Small files, as most are, are read where the requests are: that takes 10 ms, and some tens at worst, where a thread takes
 * 60 ms and 20 MB. Larger ones are read one after the other, each in a thread that ends with all it held.
 */
export function createVersionReader(limits: VersionReaderLimits = {}): VersionReader {
  const { inPlaceBytes = 128 * 1024, readMs = 20_000 } = limits;
  const stopping = new AbortController();
  let turn: Promise<unknown> = Promise.resolve();

  async function readInThread(file: Uint8Array, name: VersionName): Promise<VersionFile> {
    const action = admissionOf(name);
    const limit = new AbortController();
    const timer = setTimeout(() => {
      const message = `Cannot ${action}: to read its file took more than ${readMs} ms`;
      limit.abort(new AppError("timeout", message));
    }, readMs);
    try {
      return await callWorker<VersionFileTask, VersionFile>(
        new URL("./version_file_worker.ts", import.meta.url),
        { file, name },
        { signal: AbortSignal.any([limit.signal, stopping.signal]), action },
      );
    } finally {
      clearTimeout(timer);
    }
  }

  return {
    name: "version reader",
    async read(file, name) {
      if (file.length <= inPlaceBytes) return readVersionFile(file, name);
      const read = turn.then(() => readInThread(file, name));
      turn = read.catch(() => {});
      return await read;
    },
    start: () => Promise.resolve(),
    stop() {
      stopping.abort(unavailable("Cannot read the file of a version: the service stops"));
      return Promise.resolve();
    },
  };
}
