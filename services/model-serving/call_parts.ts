/** A call whose entities several arms answer: its parts, and what of them is told of the whole. @module */
import { AppError } from "shared/errors.ts";
import { invalidInput } from "shared/validation.ts";
import type { PredictCall } from "./predict_call.ts";

/** The call of some of its entities. */
export function partOf(call: PredictCall, positions: readonly number[]): PredictCall {
  const { question } = call;
  if (!("entities" in question)) return call;
  const { entities, given, request } = question;
  return {
    ...call,
    question: {
      entities: positions.map((position) => entities[position]!),
      given: given && positions.map((position) => given[position]!),
      request: request && positions.map((position) => request[position]!),
    },
  };
}

/** A failure of some of a call's entities, with the places of its reasons as they are in the call. */
export const inTheCall = (error: unknown, positions: readonly number[]): unknown =>
  withPlaces(
    error,
    (text) =>
      text.replace(/\/(entities|features|request)\/(\d+)/, (_, list: string, row: string) => {
        return `/${list}/${positions[Number(row)]}`;
      }),
  );

/** A failure of a call that gives the request values of all entities at once: a mistake in them is one, not each's. */
export function inTheOneRequest(error: unknown): unknown {
  const placed = withPlaces(error, (text) => text.replace(/\/request\/\d+/, "/request"));
  if (!(placed instanceof AppError) || placed.code !== "invalid") return placed;
  const { reasons } = placed;
  const once = new Map(reasons.map((reason) => [`${reason.path} ${reason.message}`, reason]));
  return once.size === reasons.length ? placed : invalidInput("predict", [...once.values()]);
}

/** A failure of a call that was made of a single line, with the places of its reasons as they are in the line. */
export const inTheLine = (error: unknown): unknown =>
  withPlaces(
    error,
    (text) =>
      text.replace(/\/(rows|entities|features|request)\/0(?!\d)/, (_, list: keyof typeof LINE_FIELDS) => {
        return `/${LINE_FIELDS[list]}`;
      }),
  );

const LINE_FIELDS = { rows: "row", entities: "entity", features: "features", request: "request" } as const;

function withPlaces(error: unknown, placed: (text: string) => string): unknown {
  if (!(error instanceof AppError) || error.reasons.length === 0) return error;
  const { code, message, retryAfter } = error;
  const reasons = error.reasons.map(({ path, message }) => ({ path: placed(path), message }));
  return new AppError(code, placed(message), {
    reasons,
    cause: error,
    ...(retryAfter === undefined ? {} : { retryAfter }),
  });
}
