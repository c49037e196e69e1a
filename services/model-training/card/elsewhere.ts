/** What a file holds, and how it was trained where that was not here. @module */
import type { ModelCard, ModelGraph } from "shared/contracts/model_training.ts";
import { html } from "./html.ts";
import { type Cell, count, facts, minute, number, type Section, table } from "./parts.ts";

export function fileSection({ version: { graph, origin } }: ModelCard): Section | undefined {
  if (graph === null) return undefined;
  const { producer, bytes, irVersion, opsets, operators, inputs, outputs } = graph;
  const values = [
    ...inputs.map((value) => ["input", value] as const),
    ...outputs.map((value) => ["output", value] as const),
  ];
  const rows = values.map(([kind, { name, type, dims }]): Cell[] => [kind, name, type, shapeText(dims)]);
  const body = html`${
    origin === "imported" ? html`<p>As it came; it is served in the form of its signature.</p>` : html``
  }${
    facts({
      "Producer": producer === "" ? "not told" : producer,
      "Size": `${count(bytes)} bytes`,
      "Format": `IR ${irVersion}, ${
        Object.entries(opsets).map(([domain, version]) => `${domain} ${version}`).join(", ")
      }`,
      "Operators": operators.map(({ domain, op, count }) => `${domain}/${op} x ${count}`).join(", "),
    })
  }${table(["", "Name", "Type", "Shape"], rows)}`;
  return { id: "file", title: "Model file", body };
}

function shapeText(dims: ModelGraph["inputs"][number]["dims"]): string {
  return dims === null ? "not stated" : `[${dims.map((dim) => dim === "" ? "any" : dim).join(", ")}]`;
}

/** Of an import: the logged run that its file was trained in. */
export function loggedRunSection({ loggedRun }: ModelCard): Section | undefined {
  if (loggedRun === null) return undefined;
  const {
    id,
    algorithm,
    actor,
    createdAt,
    gitRevision,
    trainingSet,
    environment,
    parameters,
    metrics,
    tags,
  } = loggedRun;
  const results = Object.entries(metrics).map(([name, value]): Cell[] => [name, { number: number(value) }]);
  const body = html`${
    facts({
      "Run": id,
      "Algorithm": algorithm,
      "Begun": `${minute(createdAt)} by ${actor}`,
      ...(gitRevision === null ? {} : { "Git revision": gitRevision }),
      ...(trainingSet === null ? {} : { "Training set": trainingSet }),
      ...environment,
      ...Object.fromEntries(
        Object.entries(parameters).map(([name, value]) => [`parameter ${name}`, JSON.stringify(value)]),
      ),
      ...Object.fromEntries(Object.entries(tags).map(([key, value]) => [`tag ${key}`, value])),
    })
  }${results.length === 0 ? html`` : table(["Result it logged", "Value"], results)}`;
  return { id: "logged", title: "Trained elsewhere", body };
}
