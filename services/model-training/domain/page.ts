/**
 * A page of a list that was read with one element more than the limit.
 *
 * @returns the elements of the page, and its last one when the list goes on after it
 */
export function pageOf<Item>(read: readonly Item[], limit: number): { items: Item[]; next: Item | null } {
  const items = read.slice(0, limit);
  return { items, next: read.length > limit ? items[items.length - 1]! : null };
}
