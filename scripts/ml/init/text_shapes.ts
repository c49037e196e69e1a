/** Texts of one form, such as `C536379` and `536365`, and the pattern of it. @module */

const MOST_SHAPES = 3;
const LONGEST = 40;
const RUN = /([0-9]+)|([A-Z]+)|([a-z]+)|[-_.:/#]/y;
const DIGITS = "[0-9]";
const CLASSES = [DIGITS, "[A-Z]", "[a-z]"];
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const UUID_PATTERN = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$";

/** Characters of one class that stand together. */
interface Run {
  pattern: string;
  min: number;
  max: number;
}

/** Looks for the few forms that all texts have. */
export class TextShapes {
  #shapes: Map<string, Run[]> | undefined = new Map();
  /** `undefined` before the first text. */
  #areUuids: boolean | undefined;

  add(text: string): void {
    this.#areUuids = this.#areUuids !== false && UUID.test(text);
    if (this.#shapes === undefined) return;
    const runs = runsOf(text);
    if (runs === undefined) this.#shapes = undefined;
    else this.#take(runs, this.#shapes);
  }

  #take(runs: readonly Run[], shapes: Map<string, Run[]>): void {
    const key = runs.map(({ pattern }) => pattern).join("");
    const known = shapes.get(key);
    if (known === undefined) shapes.set(key, [...runs]);
    known?.forEach((run, index) => {
      run.min = Math.min(run.min, runs[index]!.min);
      run.max = Math.max(run.max, runs[index]!.max);
    });
    if (shapes.size > MOST_SHAPES) this.#shapes = undefined;
  }

  get areUuids(): boolean {
    return this.#areUuids === true;
  }

  /** A pattern that all texts match, from end to end; `undefined` where they have many forms, or no digits. */
  pattern(): string | undefined {
    if (this.areUuids) return UUID_PATTERN;
    const shapes = [...this.#shapes?.values() ?? []];
    // Words without a digit are words.
    const areCodes = shapes.length > 0 &&
      shapes.every((runs) => runs.some(({ pattern }) => pattern === DIGITS));
    if (!areCodes) return undefined;
    const forms = shapes.map((runs) => runs.map(patternOf).join(""));
    return forms.length === 1 ? `^${forms[0]}$` : `^(${forms.join("|")})$`;
  }
}

/** `undefined` where it is empty or long, or has other characters than those of codes. */
function runsOf(text: string): Run[] | undefined {
  if (text === "" || text.length > LONGEST) return undefined;
  const runs: Run[] = [];
  for (RUN.lastIndex = 0; RUN.lastIndex < text.length;) {
    const match = RUN.exec(text);
    if (match === null) return undefined;
    const [run, ...classes] = match;
    const index = classes.findIndex((part) => part !== undefined);
    runs.push({ pattern: CLASSES[index] ?? (run === "." ? "[.]" : run), min: run.length, max: run.length });
  }
  return runs;
}

function patternOf({ pattern, min, max }: Run): string {
  if (max === 1) return pattern;
  return `${pattern}{${min === max ? min : `${min},${max}`}}`;
}
