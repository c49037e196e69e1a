/** Whether every JavaScript object has a property of this name, so that a missing field could not be told. */
export function isUnusable(field: string): boolean {
  return field in Object.prototype;
}

/** The fields that a record can have at a point of a cleaning. They are known from the first `select` on. */
export class KnownFields {
  #names: Set<string> | undefined;

  /** @returns what is wrong with reading these fields here; empty when all is well */
  mistakes(fields: readonly string[]): string[] {
    return fields.flatMap((field) => this.#mistake(field));
  }

  #mistake(field: string): string[] {
    if (isUnusable(field)) return [`names the field "${field}", which cannot be used`];
    if (this.#names === undefined || this.#names.has(field)) return [];
    return [
      `reads the field "${field}", which is not there: a select before it left ${
        [...this.#names].join(", ")
      }`,
    ];
  }

  keepOnly(fields: readonly string[]): void {
    this.#names = new Set(fields);
  }

  add(fields: readonly string[]): void {
    for (const field of fields) this.#names?.add(field);
  }

  remove(fields: readonly string[]): void {
    for (const field of fields) this.#names?.delete(field);
  }
}
