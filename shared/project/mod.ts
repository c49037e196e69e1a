/** What a project file and an application import, under the name `microml`. @module */
export { defineProject } from "./define.ts";
export type { DefinedProject } from "./define.ts";
export { createClient } from "../client/create_client.ts";
export type { Client, ClientOptions, FeatureRow, LabelOf, PredictQuestion } from "../client/create_client.ts";
export { AppError } from "../errors.ts";
export type { Project, ProjectInput } from "../contracts/project.ts";
