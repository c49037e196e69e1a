import { z } from "zod";

/** PostgreSQL keeps no other text, and one such text in the prediction log would spoil the batch it is in. */
export const storableTextSchema = z.string().refine((text) => text.isWellFormed() && !text.includes("\0"), {
  message: "must hold neither U+0000 nor half of a surrogate pair",
});
