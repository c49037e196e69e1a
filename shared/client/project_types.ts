/**
 * What a project's own text says, as types: names of sources and models, keys of entities, features, fields of events.
 *
 * @module
 */
import type { ProjectInput } from "../contracts/project.ts";

/** A part of a project as it was written; nothing where it was left out. */
type Part<Input, Name extends keyof ProjectInput> = Input extends { readonly [N in Name]: infer Value }
  ? Value
  : Record<never, never>;

export type SourceName<Input> = keyof Part<Input, "sources"> & string;
export type FeatureServiceName<Input> = keyof Part<Input, "featureServices"> & string;
export type ModelName<Input> = keyof Part<Input, "models"> & string;

type Mutable<Value> = { -readonly [Key in keyof Value]: Value[Key] };
type Flat<Value> = { [Key in keyof Value]: Value[Key] } & unknown;

type KeyValue<Type> = Type extends "integer" ? number | `${bigint}`
  : Type extends "boolean" ? boolean
  : string;

/** An entity by its key parts, such as `{ customer_id: string }`. */
export type EntityOf<Input, Entity> = Entity extends keyof Part<Input, "entities">
  ? Part<Input, "entities">[Entity] extends { readonly keys: infer Keys }
    ? Mutable<{ [Key in keyof Keys]: KeyValue<Keys[Key]> }>
  : never
  : never;

/** The features of a feature service, `view.feature`. */
export type FeatureOf<Input, Service> = Service extends keyof Part<Input, "featureServices">
  ? Part<Input, "featureServices">[Service] extends { readonly features: infer Features }
    ? Features extends readonly (infer Name)[] ? Name & string : never
  : never
  : never;

type ModelPart<Input, Model, Name extends string> = Model extends keyof Part<Input, "models">
  ? Part<Input, "models">[Model] extends { readonly [N in Name]: infer Value } ? Value : never
  : never;

/** The entity that a model is about. */
export type EntityOfModel<Input, Model> = EntityOf<Input, ModelPart<Input, Model, "entity">>;
/** The features that a model takes. */
export type FeatureOfModel<Input, Model> = FeatureOf<Input, ModelPart<Input, Model, "featureService">>;

/** The entity that the views of a feature service describe. */
export type EntityOfService<Input, Service> = FeatureOf<Input, Service> extends `${infer View}.${string}`
  ? View extends keyof Part<Input, "views">
    ? Part<Input, "views">[View] extends { readonly entity: infer Entity } ? EntityOf<Input, Entity> : never
  : never
  : never;

type RequestType = { number: number; string: string; boolean: boolean };

/** Of views by name those that are read by features. */
type ViewOf<Feature> = Feature extends `${infer View}.${string}` ? View : never;

type UnionToIntersection<Union> = (Union extends unknown ? (one: Union) => void : never) extends
  (all: infer All) => void ? All : never;

type RequestOfView<View> = View extends { readonly request: infer Values }
  ? { [Name in keyof Values]?: RequestType[Values[Name] & keyof RequestType] | null }
  : Record<never, never>;

/** The values that on-demand features of the views behind these features may read: `r.<name>` in their expressions. */
export type RequestOf<Input, Feature> = Flat<
  UnionToIntersection<
    ViewOf<Feature> extends infer View
      ? View extends keyof Part<Input, "views"> ? RequestOfView<Part<Input, "views">[View]> : never
      : never
  >
>;

type JsonType = {
  string: string;
  number: number;
  integer: number;
  boolean: boolean;
  null: null;
  array: readonly unknown[];
  object: Readonly<Record<string, unknown>>;
};

type FieldValue<Schema> = Schema extends { readonly enum: readonly (infer Value)[] } ? Value
  : Schema extends { readonly type: keyof JsonType } ? JsonType[Schema["type"]]
  : Schema extends { readonly type: readonly (infer Type extends keyof JsonType)[] } ? JsonType[Type]
  : unknown;

type Required<Schema> = Schema extends { readonly required: readonly (infer Name)[] } ? Name : never;

type Fields<Schema> = Schema extends { readonly properties: infer Properties } ? Properties
  : Record<never, never>;

/** A record of a source, as its JSON Schema describes it: fields that it does not name may be there too. */
export type EventOf<Input, Source> = Source extends keyof Part<Input, "sources">
  ? Part<Input, "sources">[Source] extends { readonly schema: infer Schema } ?
      & Flat<
        & { [Name in keyof Fields<Schema> & Required<Schema>]: FieldValue<Fields<Schema>[Name]> }
        & { [Name in Exclude<keyof Fields<Schema>, Required<Schema>>]?: FieldValue<Fields<Schema>[Name]> }
        & { [Name in Exclude<Required<Schema>, keyof Fields<Schema>> & string]: unknown }
      >
      & Readonly<Record<string, unknown>>
  : Readonly<Record<string, unknown>>
  : never;
