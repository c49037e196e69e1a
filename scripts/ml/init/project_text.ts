/** A project's file for one source, as people would write it. @module */
import { expectationsText, stepsText } from "./cleaning_text.ts";
import { count } from "./describe_field.ts";
import type { FileFacts } from "./file_facts.ts";
import type { InferredSource } from "./infer.ts";
import { comment, key, literal, wrap } from "./literal.ts";
import { sourceText } from "./source_text.ts";

const MOST_NAMED = 10;
const HEADER_CHARACTERS = 105;

export interface ProjectNames {
  project: string;
  source: string;
  /** The file's name. */
  file: string;
}

/** The module's text, not formatted yet. */
export function projectText(source: InferredSource, facts: FileFacts, names: ProjectNames): string {
  const { time } = source;
  return `${header(facts, names)}
import { defineProject } from "microml";

export default defineProject({
project: ${literal(names.project)},
${
    time === undefined
      ? ""
      : `${
        comment("The newest event time seen is now, for history is loaded faster than it happened.")
      }\nclock: "event",`
  }

sources: {
${key(names.source)}: {
${sourceText(source, { description: `As in ${names.file}` })}
},
},

cleaning: {
${key(names.source)}: {
steps: [
${stepsText(source)}
],
expectations: [
${expectationsText(source)}
],
},
},
});
`;
}

function header(
  { records, unreadable, firstUnreadable, leftOut }: FileFacts,
  { file }: ProjectNames,
): string {
  const said = [
    `Inferred by \`deno task ml init\` from ${file}: ${count(records)} records.`,
    "It applies as it stands; look it over before you build on it: what is said of a field is what this file shows, " +
    "and the next one may differ.",
  ];
  if (firstUnreadable !== undefined) {
    const { line, reason } = firstUnreadable;
    said.push(
      `${count(unreadable)} more can't be read and will be rejected; the first, in line ${
        count(line)
      }, ${reason}.`,
    );
  }
  if (leftOut.size > 0) {
    const names = [...leftOut].slice(0, MOST_NAMED).map((name) => JSON.stringify(name));
    said.push(`Left out, as no cleaning can use them: ${names.join(", ")}.`);
  }
  const lines = wrap(said.join(" ").replaceAll("*/", "* /"), HEADER_CHARACTERS);
  return `/**\n${lines.map((line) => ` * ${line}`).join("\n")}\n *\n * @module\n */`;
}
