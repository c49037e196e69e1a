/** What a JSON Schema still says of a record whose secrets have been hashed or dropped. @module */

type Schema = Record<string, unknown>;

/**
 * Keywords of an object that can't be judged by a part of it: with a secret in that object they say nothing. (`$ref`
 * is followed, `allOf` taken apart.)
 */
const OF_THE_WHOLE: ReadonlySet<string> = new Set([
  "anyOf",
  "oneOf",
  "not",
  "if",
  "then",
  "else",
  "$dynamicRef",
  "dependentSchemas",
  "dependentRequired",
  "unevaluatedProperties",
  "unevaluatedItems",
  "minProperties",
  "contains",
  "minContains",
  "maxContains",
  "uniqueItems",
  "const",
  "enum",
]);

/**
 * The schema without its word about the secrets: any value may stand in their places, or none.
 *
 * @param places of the secrets: names of fields, indexes of items, `*` for every item
 */
export function protectedSchema(schema: Schema, places: readonly (readonly string[])[]): Schema {
  const loosened = places.reduce<unknown>(
    (loosened, tokens) => loosen(loosened, tokens, { root: schema, followed: [] }),
    schema,
  );
  return loosened as Schema;
}

interface Loosening {
  /** What local references lead into. */
  root: Schema;
  /** References followed on the way to this object: a reference may lead to itself. */
  followed: readonly string[];
}

function loosen(schema: unknown, tokens: readonly string[], { root, followed }: Loosening): unknown {
  const [token, ...rest] = tokens;
  if (token === undefined) return true;
  if (!isSchema(schema)) return schema;
  const inside = (part: unknown) => loosen(part, rest, { root, followed: [] });

  const result: Schema = Object.fromEntries(
    Object.entries(schema).filter(([name]) => !OF_THE_WHOLE.has(name)),
  );
  const { $ref, allOf, required, properties, patternProperties, prefixItems, items } = schema;
  const parts: unknown[] = Array.isArray(allOf) ? [...allOf] : [];
  if (typeof $ref === "string") {
    delete result["$ref"];
    if (!followed.includes($ref)) parts.push(resolve(root, $ref));
  }
  if (parts.length > 0) {
    const through = typeof $ref === "string" ? [...followed, $ref] : followed;
    result["allOf"] = parts.map((part) => loosen(part, tokens, { root, followed: through }));
  }
  if (rest.length === 0 && Array.isArray(required)) {
    result["required"] = required.filter((name) => name !== token);
  }
  const known = isSchema(properties) ? properties : {};
  result["properties"] = {
    ...known,
    [token]: Object.hasOwn(known, token) ? inside(known[token]) : true,
  };
  // Whether a pattern matches the secret's name is for the schema's reader to find: the object's other names go free.
  if (isSchema(patternProperties)) {
    delete result["patternProperties"];
    delete result["additionalProperties"];
  }
  if (Array.isArray(prefixItems)) {
    result["prefixItems"] = prefixItems.map((item, index) =>
      token === "*" || token === String(index) ? inside(item) : item
    );
  }
  if (items !== undefined) result["items"] = inside(items);
  return result;
}

function isSchema(value: unknown): value is Schema {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** What a reference within the schema leads to; what leads elsewhere says nothing. */
function resolve(root: Schema, reference: string): unknown {
  if (reference === "#") return root;
  if (!reference.startsWith("#/")) return true;
  return decodeURIComponent(reference).split("/").slice(1).reduce<unknown>((part, token) => {
    const name = token.replaceAll("~1", "/").replaceAll("~0", "~");
    return typeof part === "object" && part !== null && Object.hasOwn(part, name)
      ? (part as Schema)[name]
      : true;
  }, root);
}
