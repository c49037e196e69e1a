/** What a project file imports, under the name `microml`. @module */
export { defineProject } from "./define.ts";
export type { Project, ProjectInput } from "../contracts/project.ts";
