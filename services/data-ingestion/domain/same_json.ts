/** Whether two JSON values say the same; the order of fields says nothing. */
export function sameJson(one: unknown, other: unknown): boolean {
  if (one === other) return true;
  if (typeof one !== "object" || typeof other !== "object" || one === null || other === null) return false;
  if (Array.isArray(one) !== Array.isArray(other)) return false;
  const [these, those] = [Object.entries(one), other as Record<string, unknown>];
  return these.length === Object.keys(those).length &&
    these.every(([name, value]) => Object.hasOwn(those, name) && sameJson(value, those[name]));
}
