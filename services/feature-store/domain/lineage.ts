/** What leads from sources over views and feature services to models. @module */
import type {
  FeatureServiceBody,
  Lineage,
  LineageNode,
  ModelLabelBody,
  ViewBody,
} from "shared/contracts/feature_store.ts";

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
    ...services.flatMap(({ name, body }) =>
      [...Map.groupBy(body.features, (feature) => feature.split(".")[0]!)].map(([view, features]): Edge => ({
        from: { kind: "view", name: view },
        to: { kind: "service", name },
        features,
      }))
    ),
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

/** Which services and models read each feature. */
export function traceUsage(
  { views, services, models }: LineageDefinitions,
): { feature: string; services: string[]; models: string[] }[] {
  return views.flatMap(({ name: view, body }) =>
    Object.keys(body.features).map((name) => {
      const feature = `${view}.${name}`;
      const readers = services.filter(({ body: { features } }) => features.includes(feature));
      const names = readers.map((service) => service.name);
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
