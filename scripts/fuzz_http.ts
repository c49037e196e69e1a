/**
 * `deno task fuzz [SERVICE ...]`: lets schemathesis (PyPI) make up requests from each service's /openapi.json, valid ones
 * and others, and looks for answers that no request may get: a 5xx that is neither an overload, which is 503 with
 * Retry-After, nor the end of the time that the request itself sets (504).
 *
 * Default: model-serving, with a model that answers. `deno run -A bench/peers/install.ts schemathesis` installs it.
 *
 * @module
 */
import { join } from "node:path";
import { bucketPut } from "shared/bus/bucket.ts";
import { connectBus } from "shared/bus/connection.ts";
import { call } from "shared/bus/endpoints.ts";
import { publishAll } from "shared/bus/publisher.ts";
import { putDeployment } from "shared/contracts/model_serving.ts";
import { MODEL_METADATA, type Signature } from "shared/contracts/signature.ts";
import { BUCKET } from "shared/contracts/streams.ts";
import { makeTestFolder } from "shared/infra/test_folder.ts";
import { silentLogger } from "shared/log.ts";
import { encodeModel } from "shared/onnx/writer.ts";
import { findPeer, peerFolder, peerMissing } from "../bench/peers/peer.ts";
import { startStack } from "./stack.ts";

const MODEL = "fuzzed";
const EXAMPLES = Deno.env.get("MICROML_FUZZ_EXAMPLES") ?? "100";

const signature: Signature = {
  task: "regression",
  entity: "thing",
  featureService: { name: "things", version: 1 },
  inputs: [{ name: "things.size", type: "number", nulls: "as_trained" }],
  output: "value",
  classes: null,
};

/** A model that answers with its one feature. */
const file = () =>
  encodeModel({
    irVersion: 8,
    producerName: "fuzz",
    opsets: { "ai.onnx": 17 },
    metadata: { [MODEL_METADATA.signature]: JSON.stringify(signature) },
    graph: {
      name: "same",
      nodes: [{ op: "Reshape", inputs: ["features", "flat"], outputs: ["value"] }],
      initializers: [{ name: "flat", type: "int64", dims: [1], data: BigInt64Array.of(-1n) }],
      inputs: [{ name: "features", type: "float", dims: ["rows", 1] }],
      outputs: [{ name: "value", type: "float", dims: ["rows"] }],
    },
  });

const say = (line: string) => Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));

/** @returns the services whose answers were not as they must be */
async function fuzz(services: readonly string[]): Promise<string[]> {
  await using folder = await makeTestFolder();
  await using stack = await startStack({ root: folder.path, ports: "free", services });
  if (services.includes("model-serving")) {
    await serveModel(stack.natsUrl, stack.services.get("model-serving")!.url);
  }
  const failed = new Set<string>();
  for (const name of services) {
    const { url } = stack.services.get(name)!;
    // Names that are made up are hardly ever there: once more with the one that is.
    const known = `[parameters]\nmodel = "${MODEL}"\nversion = 1\n`;
    for (const parameters of name === "model-serving" ? ["", known] : [""]) {
      const config = join(folder.path, "schemathesis.toml");
      await Deno.writeTextFile(
        config,
        `${parameters}[checks]\nnot_a_server_error.expected-statuses = ["2xx", "4xx", "503", "504"]\n`,
      );
      say(`fuzzing ${name} ${parameters.replaceAll(/\s+/g, " ")}`);
      const { code } = await new Deno.Command(join(peerFolder("schemathesis"), "bin/st"), {
        // Where it keeps what it has found.
        cwd: folder.path,
        env: { SCHEMATHESIS_HOOKS: new URL("fuzz_hooks.py", import.meta.url).pathname },
        args: [
          `--config-file=${config}`,
          "run",
          `${url}/openapi.json`,
          `--url=${url}`,
          "--checks=not_a_server_error",
          "--mode=all",
          `--max-examples=${EXAMPLES}`,
          "--request-timeout=20",
          // An endless stream is no answer to wait for.
          "--exclude-path-regex=/stream$",
        ],
      }).spawn().status;
      if (code !== 0) failed.add(name);
    }
  }
  return [...failed];
}

async function serveModel(natsUrl: string, url: string): Promise<void> {
  await using bus = await connectBus({ url: natsUrl, name: "fuzz", log: silentLogger });
  await call(bus, putDeployment, {
    project: "fuzz",
    name: MODEL,
    body: { features: { deadline: "PT0.1S" } },
  });
  const sha256 = await bus.files.put(file());
  const entry = {
    model: MODEL,
    alias: "champion",
    version: 1,
    sha256,
    signature,
    revision: 1,
    project: "fuzz",
  };
  await publishAll(bus, [bucketPut(BUCKET.aliases, `${MODEL}.champion`, entry, `alias/${MODEL}/1`)]);
  while (!(await isReady(`${url}/v2/models/${MODEL}/ready`))) {
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function isReady(url: string): Promise<boolean> {
  const response = await fetch(url);
  await response.body?.cancel();
  return response.ok;
}

if (import.meta.main) {
  if (findPeer("schemathesis") === undefined) {
    say(peerMissing("schemathesis"));
    Deno.exit(2);
  }
  const failed = await fuzz(Deno.args.length > 0 ? Deno.args : ["model-serving"]);
  say(failed.length === 0 ? "no answer that must not be" : `answers that must not be: ${failed.join(", ")}`);
  Deno.exit(failed.length === 0 ? 0 : 1);
}
