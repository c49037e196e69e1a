/** What leads from sources over views and feature services to models. @module */
import type {
  FeatureServiceBody,
  Lineage,
  LineageNode,
  ModelLabelBody,
  ViewBody,
} from "shared/contracts/feature_store.ts";
import { featuresReadBy, splitReference } from "./feature_order.ts";

export interface LineageDefinitions {
  views: readonly { name: string; version: number; body: ViewBody }[];
  services: readonly { name: string; version: number; body: FeatureServiceBody }[];
  models: readonly { name: string; version: number; featureService: string }[];
  /** By model. */
  labels: readonly { name: string; body: ModelLabelBody }[];
}

type Edge = Lineage["edges"][number];

/** All of it; with `of`, what leads to that node and from it. */
export function traceLineage(definitions: LineageDefinitions, of?: LineageNode): Lineage {
  const { views, services, models, labels } = definitions;
  const modelNames = new Set(models.map(({ name }) => name));
  const edges: Edge[] = [
    ...views.map(({ name, body }): Edge => ({
      from: { kind: "source", name: body.source },
      to: { kind: "view", name },
      features: [],
    })),
    ...views.flatMap(({ name, body }) => {
      const read = Object.values(body.features).flatMap((feature) => featuresReadBy(name, feature));
      return edgesFrom(read, { kind: "view", name }).filter(({ from }) => from.name !== name);
    }),
    ...services.flatMap(({ name, body }) => edgesFrom(body.features, { kind: "service", name })),
    ...models.map(({ name, featureService }): Edge => ({
      from: { kind: "service", name: featureService },
      to: { kind: "model", name },
      features: services.find((service) => service.name === featureService)?.body.features ?? [],
    })),
    ...labels.filter(({ name }) => modelNames.has(name)).flatMap(({ name, body: { spine, label } }) =>
      [...new Set([spine.source, label.source])].map((source): Edge => ({
        from: { kind: "source", name: source },
        to: { kind: "model", name },
        features: [],
      }))
    ),
  ];
  const kept = of === undefined
    ? edges
    : [...new Set([...follow(edges, of, "to"), ...follow(edges, of, "from")])];
  const versions = new Map([
    ...views.map(({ name, version }) => [keyOf({ kind: "view", name }), version] as const),
    ...services.map(({ name, version }) => [keyOf({ kind: "service", name }), version] as const),
    ...models.map(({ name, version }) => [keyOf({ kind: "model", name }), version] as const),
  ]);
  const nodes = new Map(kept.flatMap(({ from, to }) => [from, to]).map((node) => [keyOf(node), node]));
  return {
    nodes: [...nodes].map(([key, node]) => ({ ...node, version: versions.get(key) ?? null })),
    edges: kept,
  };
}

/** From each of the views whose features are read. */
function edgesFrom(features: readonly string[], to: LineageNode): Edge[] {
  const byView = Map.groupBy(new Set(features), (feature) => splitReference(feature)[0]);
  return [...byView].map(([view, features]) => ({ from: { kind: "view", name: view }, to, features }));
}

const keyOf = ({ kind, name }: LineageNode) => `${kind}/${name}`;

/** The edges that lead to a node (`to`), or from it (`from`), over any number of others. */
function follow(edges: readonly Edge[], node: LineageNode, end: "from" | "to"): Edge[] {
  const start = end === "to" ? "from" : "to";
  const found = new Set<Edge>();
  const reached = [keyOf(node)];
  for (const key of reached) {
    for (const edge of edges) {
      if (keyOf(edge[end]) !== key || found.has(edge)) continue;
      found.add(edge);
      reached.push(keyOf(edge[start]));
    }
  }
  return [...found];
}

/** Which services and models read each feature, also by an expression over it. */
export function traceUsage(
  { views, services, models }: LineageDefinitions,
): { feature: string; services: string[]; models: string[] }[] {
  const readsOf = new Map(services.map(({ name, body }) => [name, allRead(views, body.features)]));
  return views.flatMap(({ name: view, body }) =>
    Object.keys(body.features).map((name) => {
      const feature = `${view}.${name}`;
      const names = [...readsOf].filter(([, read]) => read.has(feature)).map(([service]) => service);
      return {
        feature,
        services: names,
        models: models.filter(({ featureService }) => names.includes(featureService)).map((model) =>
          model.name
        ),
      };
    })
  );
}

/** Features, and all that they are computed from. */
function allRead(views: LineageDefinitions["views"], features: readonly string[]): ReadonlySet<string> {
  const bodies = new Map(views.map(({ name, body }) => [name, body]));
  const read = new Set(features);
  for (const reference of read) {
    const [view, name] = splitReference(reference);
    const feature = bodies.get(view)?.features[name];
    if (feature !== undefined) { for (const operand of featuresReadBy(view, feature)) read.add(operand); }
  }
  return read;
}
