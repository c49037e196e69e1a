/**
 * The definitions in force, in memory. What stands here was read from the table; the bucket only says when to look
 * again, so that messages that are late, doubled or lost can't leave an old definition behind.
 *
 * @module
 */
import type { StoredDefinition } from "../contracts/definition.ts";

/** What changed: `definition` is `undefined` when it was removed. */
export interface DefinitionChange {
  kind: string;
  name: string;
  definition: StoredDefinition | undefined;
}

export type ChangeListener = (change: DefinitionChange) => void;

export class DefinitionCache {
  readonly #byKind = new Map<string, Map<string, StoredDefinition>>();
  readonly #listed = new Map<string, readonly StoredDefinition[]>();
  readonly #listeners: ChangeListener[] = [];

  get(kind: string, name: string): StoredDefinition | undefined {
    return this.#byKind.get(kind)?.get(name);
  }

  /** By name. The same list until something changes. */
  list(kind: string): readonly StoredDefinition[] {
    let list = this.#listed.get(kind);
    if (list === undefined) {
      const definitions = [...this.#byKind.get(kind)?.values() ?? []];
      list = definitions.sort((a, b) => a.name < b.name ? -1 : 1);
      this.#listed.set(kind, list);
    }
    return list;
  }

  /** Takes what the table says of a name, and tells the listeners if that is new. */
  set(kind: string, name: string, definition: StoredDefinition | undefined): void {
    const known = this.get(kind, name);
    // Versions are never used twice: an equal one is the same definition.
    if (known?.version === definition?.version) return;
    const ofKind = this.#byKind.get(kind) ?? new Map<string, StoredDefinition>();
    this.#byKind.set(kind, ofKind);
    if (definition === undefined) ofKind.delete(name);
    else ofKind.set(name, definition);
    this.#listed.delete(kind);
    for (const listener of this.#listeners) listener({ kind, name, definition });
  }

  onChange(listener: ChangeListener): void {
    this.#listeners.push(listener);
  }
}
