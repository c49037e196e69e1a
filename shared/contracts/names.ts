import { z } from "zod";

/**
 * The pattern of every name a user chooses (sources, entities, views, models, monitors ...).
 * No dots, because names become tokens of NATS subjects; unique on one platform.
 */
export const NAME_PATTERN = /^[a-z][a-z0-9_-]{0,62}$/;

export const nameSchema = z.string().regex(NAME_PATTERN, `must match ${NAME_PATTERN.source}`);

/** A feature named from outside its view: `view.feature`. */
export const featureReferenceSchema = z.string().regex(
  /^[a-z][a-z0-9_-]{0,62}\.[a-z][a-z0-9_-]{0,62}$/,
  "must be <view>.<feature>",
);
