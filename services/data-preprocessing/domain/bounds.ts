import { invalid } from "shared/errors.ts";

/** @throws {AppError} `invalid` when there is no bound, or nothing between the two */
export function refuseBounds({ min, max }: { min?: number | undefined; max?: number | undefined }): void {
  if (min === undefined && max === undefined) throw invalid("must have a min or a max");
  if (min !== undefined && max !== undefined && min > max) {
    throw invalid(`has the min ${min} above the max ${max}`);
  }
}
