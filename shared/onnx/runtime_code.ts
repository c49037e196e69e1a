/**
 * The code of ONNX Runtime, compiled once for all threads of a process: a thread that is given it starts in a quarter of
 * the time, and takes 20 MB where it takes 65 with code of its own.
 *
 * Needs `--allow-read` of the package.
 *
 * @module
 */

/**
 * How often a module is given out. V8 counts for a module how much each function has run, in all threads. One of ONNX
 * Runtime's functions, of 900 KB, runs at the start of each thread; to optimise it takes V8 half a gigabyte and some
 * seconds. With its default count that is due at the third thread, and with `--wasm-tiering-budget=2000000000`, which
 * the service is started with, at the 400th.
 */
const THREADS_OF_MODULE = 200;

export interface RuntimeCode {
  /** The module, for one more thread. */
  forThread(): Promise<WebAssembly.Module>;
}

/** @param threadsOfModule threads after which the code is compiled anew; default 200 */
export function createRuntimeCode(threadsOfModule = THREADS_OF_MODULE): RuntimeCode {
  let module: Promise<WebAssembly.Module> | undefined;
  let threads = 0;
  let editions = 0;
  return {
    forThread() {
      if (module === undefined || threads === threadsOfModule) {
        module = compile(editions++);
        threads = 0;
      }
      threads++;
      return module;
    },
  };
}

async function compile(edition: number): Promise<WebAssembly.Module> {
  using file = await Deno.open(
    new URL(import.meta.resolve("onnxruntime-web/ort-wasm-simd-threaded.wasm")),
  );
  const { size } = await file.stat();
  const section = sectionOf(`edition ${edition}`);
  const code = new Uint8Array(size + section.length);
  for (let at = 0; at < size;) at += await file.read(code.subarray(at, size)) ?? size;
  code.set(section, size);
  return await WebAssembly.compile(code);
}

/**
 * A section that has a name and means nothing. V8 takes equal bytes for one module, with its counts: editions must
 * differ.
 *
 * @param name of fewer than 126 ASCII characters
 */
function sectionOf(name: string): Uint8Array<ArrayBuffer> {
  const custom = 0;
  return Uint8Array.of(custom, name.length + 1, name.length, ...new TextEncoder().encode(name));
}
