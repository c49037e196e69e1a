/** The typed client of a project: what it publishes, reads, asks and tells is checked against the project's own text. @module */
import type { z } from "zod";
import { encodeBatches } from "../bus/batch.ts";
import { type Bus, connectBus } from "../bus/connection.ts";
import { publishAll } from "../bus/publisher.ts";
import { storeEvent } from "../contracts/data_ingestion.ts";
import { entityKey } from "../contracts/entity_key.ts";
import { EVENT_TYPE, HEADER } from "../contracts/envelope.ts";
import {
  type FeatureStatus,
  type FeatureValue,
  type LabelRecord,
  online,
} from "../contracts/feature_store.ts";
import { predict } from "../contracts/model_serving.ts";
import type { Project } from "../contracts/project.ts";
import { subject } from "../contracts/streams.ts";
import { type Instant, toInstant } from "../contracts/time.ts";
import { invalid } from "../errors.ts";
import { silentLogger } from "../log.ts";
import type { DefinedProject } from "../project/define.ts";
import type {
  EntityOfModel,
  EntityOfService,
  EventOf,
  FeatureOf,
  FeatureOfModel,
  FeatureServiceName,
  ModelName,
  RequestOf,
  SourceName,
} from "./project_types.ts";
import { type Call, callOverHttp, callOverNats, fetchJson, type TransportOptions } from "./transport.ts";

/** Where the platform is: its gateway, its services one by one, or its NATS server, which is then used for all. */
export interface ClientOptions extends TransportOptions {
  /** The console's address, such as `http://localhost:8080`; it hands on to every service. */
  gateway?: string;
  /** Addresses of services that are reached directly, such as `{ "model-serving": "http://localhost:8000" }`. */
  services?: Readonly<Partial<Record<"data-ingestion" | "feature-store" | "model-serving", string>>>;
  /** `nats://[user:password@]host:port`. */
  nats?: string;
}

/** The features of one entity at T. */
export interface FeatureRow<Entity, Feature extends string> {
  entity: Entity;
  values: Record<Feature, FeatureValue>;
  statuses: Record<Feature, FeatureStatus>;
  /** Event time of the newest record behind each value. */
  eventTimes: Record<Feature, Instant | null>;
}

type PredictRequest = z.input<typeof predict.spec.request>;
type PredictReply = z.output<typeof predict.spec.reply>;

/** Values that on-demand features read: one for all entities, or one for each. */
type ForEntities<Values> = Values | readonly Values[];

/** Entities whose features are looked up, with what only the caller knows; or rows of all features. */
export type PredictQuestion<Entity, Feature extends string, Values> =
  & Pick<PredictRequest, "asOf" | "explain" | "key" | "priority" | "timeoutMs">
  & (
    | {
      entities: readonly Entity[];
      features?: readonly Partial<Record<Feature, FeatureValue>>[];
      request?: ForEntities<Values>;
      rows?: never;
    }
    | {
      rows: readonly Readonly<Record<Feature, FeatureValue>>[];
      entities?: never;
      features?: never;
      request?: never;
    }
  );

/** An outcome: what became of an entity after T. */
export interface LabelOf<Entity> {
  entity: Entity;
  /** T: the time that the prediction was about. */
  at: Instant;
  value: LabelRecord["value"];
  /** When the outcome was settled. Default: now. */
  knownAt?: Instant;
  /** Counts the corrections of this outcome, from 1: a later one takes the place of the one before. Default 1. */
  revision?: number;
}

export interface Client<Input> extends AsyncDisposable {
  /** Publishes events; resolves when JetStream has all of them. */
  publish<Source extends SourceName<Input>>(
    source: Source,
    events: EventOf<Input, Source> | readonly EventOf<Input, Source>[],
  ): Promise<void>;
  /**
   * Publishes one event; resolves when PostgreSQL has it.
   *
   * @throws {AppError} `invalid`, with every reason, when the source rejects it
   */
  store<Source extends SourceName<Input>>(
    source: Source,
    event: EventOf<Input, Source>,
  ): Promise<{ id: string; status: "stored" | "duplicate" }>;
  /** Reads the features of entities, at T or now by the project's clock; rows in the order of the entities. */
  features<Service extends FeatureServiceName<Input>>(
    service: Service,
    entities: readonly EntityOfService<Input, Service>[],
    options?: { asOf?: Instant; request?: ForEntities<RequestOf<Input, FeatureOf<Input, Service>>> },
  ): Promise<FeatureRow<EntityOfService<Input, Service>, FeatureOf<Input, Service>>[]>;
  predict<Model extends ModelName<Input>>(
    model: Model,
    question: PredictQuestion<
      EntityOfModel<Input, Model>,
      FeatureOfModel<Input, Model>,
      RequestOf<Input, FeatureOfModel<Input, Model>>
    >,
  ): Promise<PredictReply>;
  /** Tells an outcome to `labels.<model>`. Needs `nats`. */
  label<Model extends ModelName<Input>>(
    model: Model,
    label: LabelOf<EntityOfModel<Input, Model>>,
  ): Promise<void>;
}

/**
 * The client of a project. Names, keys and features that the project does not have do not compile.
 *
 * @example
 * ```ts
 * import { createClient, defineProject } from "microml";
 *
 * const project = defineProject({
 *   project: "shop",
 *   sources: { visits: { kind: "events", schema: { type: "object", required: ["user"] } } },
 * });
 * await using client = createClient(project, { gateway: "http://localhost:8080" });
 * const publish = () => client.publish("visits", { user: "ada" });
 * ```
 */
export function createClient<Input>(project: DefinedProject<Input>, options: ClientOptions): Client<Input> {
  const declared: Project = project;
  const { nats, gateway, services = {} } = options;
  if (nats === undefined && gateway === undefined && Object.keys(services).length === 0) {
    throw invalid("Cannot make a client: it needs a gateway, services or nats to reach the platform");
  }
  let connecting: Promise<Bus> | undefined;
  const bus = () => {
    if (nats === undefined) throw invalid("Cannot use the bus: the client was made without nats");
    return connecting ??= connectBus({ url: nats, name: `client of ${declared.project}`, log: silentLogger });
  };
  const call: Call = nats === undefined ? callOverHttp(urlOf, options) : callOverNats(bus, options);

  function urlOf(service: string): string {
    const url = services[service as keyof typeof services] ?? (gateway && `${gateway}/api/${service}`);
    if (url === undefined) throw invalid(`Cannot reach ${service}: the client has no address of it`);
    return url.replace(/\/$/, "");
  }

  const eventsUrl = (source: string) => `${urlOf("data-ingestion")}/v1/events/${source}`;

  return {
    async publish(source, events) {
      if (nats === undefined) {
        await fetchJson(eventsUrl(source), { method: "POST", body: JSON.stringify(events) }, options);
        return;
      }
      const list: readonly unknown[] = Array.isArray(events) ? events : [events];
      await publishAll(
        await bus(),
        list.map((event) => ({
          subject: subject.events(source),
          data: new TextEncoder().encode(JSON.stringify(event)),
          headers: { [HEADER.contentType]: "application/json" },
          messageId: `${source}:${crypto.randomUUID()}`,
        })),
      );
    },
    async store(source, event) {
      if (nats !== undefined) return await call(storeEvent, { source, event: { ...event } });
      const init = { method: "POST", body: JSON.stringify(event), headers: { prefer: "wait" } };
      return await fetchJson(eventsUrl(source), init, options) as z.output<typeof storeEvent.spec.reply>;
    },
    async features(service, entities, options = {}) {
      const question = {
        features: { service },
        entities: entities.map((entity) => ({ ...entity as object })),
        ...options,
      } as z.input<typeof online.spec.request>;
      const rows = [];
      let reply = await call(online, question);
      rows.push(...reply.rows);
      while (reply.next) {
        reply = await call(online, { ...question, asOf: reply.at, from: reply.next });
        rows.push(...reply.rows);
      }
      const byName = (values: readonly unknown[]) =>
        Object.fromEntries(reply.features.map((name, index) => [name, values[index]]));
      return rows.map(({ entity, values, statuses, eventTimes }) => ({
        entity,
        values: byName(values),
        statuses: byName(statuses),
        eventTimes: byName(eventTimes),
      })) as never;
    },
    predict: async (model, question) =>
      await call(predict, { model, ...question } as unknown as PredictRequest),
    async label(model, { entity, at, value, knownAt = toInstant(Date.now()), revision = 1 }) {
      const { keys } = declared.entities[declared.models[model]!.entity]!;
      const key = entityKey(entity as Record<string, unknown>, keys);
      if (key === undefined) {
        throw invalid(`Cannot label: the entity must hold ${Object.keys(keys).join(", ")} in their types`);
      }
      const data: LabelRecord = {
        project: declared.project,
        model,
        entity: entity as LabelRecord["entity"],
        maturedAt: knownAt,
        value,
        corrects: revision === 1 ? null : revision - 1,
        labelVersion: 1,
      };
      const event = {
        specversion: "1.0" as const,
        id: `${key}@${at}`,
        source: model,
        type: EVENT_TYPE.label,
        time: at,
        knownat: knownAt,
        definition: revision,
        data,
      };
      await publishAll(await bus(), encodeBatches([event], { subject: subject.labels(model) }));
    },
    async [Symbol.asyncDispose]() {
      await (await connecting)?.[Symbol.asyncDispose]();
    },
  };
}
