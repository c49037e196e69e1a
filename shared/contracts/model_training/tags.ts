import { z } from "zod";

/** Keys and values that people find a run or a version by. */
export const tagsSchema = z.record(z.string().min(1).max(100), z.string().max(500));
