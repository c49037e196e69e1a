/**
 * Batches as lines of JSON: the answers go out line by line, in their order, while the questions still come in. As many
 * lines are held as are being answered; a reader that is slow slows the writer down.
 *
 * @module
 */
import type { Context } from "hono";
import type { CallContext } from "shared/contracts/endpoint.ts";
import { predict } from "shared/contracts/model_serving.ts";
import {
  type LineQuestion,
  lineQuestionSchema,
  NDJSON,
} from "shared/contracts/model_serving/predict_line.ts";
import { nameSchema } from "shared/contracts/names.ts";
import { delay } from "shared/delay.ts";
import { AppError, invalid, messageOf } from "shared/errors.ts";
import type { OtherBody } from "shared/http/endpoints.ts";
import { callContext, MAX_BODY_BYTES, unpacked } from "shared/http/request.ts";
import { parseWith } from "shared/validation.ts";
import { type Line, splitLines } from "./line_splitter.ts";

const isNdjson = (type: string) =>
  type.length >= NDJSON.length && type.slice(0, NDJSON.length).toLowerCase() === NDJSON &&
  /^\s*(?:;|$)/.test(type.slice(NDJSON.length));

/** Lines may go on for as long as they like; bodies of JSON have the limit that all have. */
export const BODY_LIMITS = {
  "/v1/models/:model/predict": ({ headers }: Request) =>
    isNdjson(headers.get("content-type") ?? "") ? Number.MAX_SAFE_INTEGER : MAX_BODY_BYTES,
};

/**
 * Answers a group of questions that can be asked in one call, each with the fields of its line as JSON, without the
 * braces around; throws where one of them can't be answered.
 */
export type AnswerGroup = (
  model: string,
  questions: readonly LineQuestion[],
  of: {
    context: CallContext;
    /** Whether the lines will be asked again after such a failure, so that it is not theirs. */
    asksAgain: (error: unknown) => boolean;
  },
) => Promise<string[]>;

/** Lines of a call, and calls that are being answered. */
const MAX_GROUP = 200;
const MAX_RUNNING = 2;
const MAX_LINE_CHARS = 1024 * 1024;
/** How often lines are asked again that found the service too busy. */
const MAX_ATTEMPTS = 5;

export interface PredictLinesDeps {
  answerGroup: AnswerGroup;
  /** Told of every line, and every call, that could not be read. */
  refused: (model: unknown, error: unknown, context: CallContext) => void;
}

/** The other body of `predict`. */
export function createPredictLines({ answerGroup, refused }: PredictLinesDeps): OtherBody {
  return { endpoint: predict, isOf: isNdjson, answer };

  function answer(c: Context): Response {
    const named = c.req.param("model")!;
    const context = callContext(c.req.raw.headers);
    const { model, body } = readCall(c, named, (error) => refused(named, error, context));
    const answers = answerLines(splitLines(body, MAX_LINE_CHARS), {
      ask: (questions, asksAgain) => answerGroup(model, questions, { context, asksAgain }),
      refused: (error) => refused(model, error, context),
    });
    return c.body(ReadableStream.from(answers).pipeThrough(new TextEncoderStream()), 200, {
      "content-type": NDJSON,
    });
  }
}

function readCall(c: Context, model: string, refused: (error: unknown) => void) {
  try {
    const { body } = unpacked(c);
    if (body === null) throw invalid("Cannot predict: the body holds no line");
    return { model: parseWith(nameSchema, model, "predict"), body };
  } catch (error) {
    refused(error);
    throw error;
  }
}

type Ask = (
  questions: readonly LineQuestion[],
  asksAgain: (error: unknown) => boolean,
) => Promise<string[]>;

interface LineAnswers {
  ask: Ask;
  /** Told of every line that can't be read. */
  refused: (error: unknown) => void;
}

async function* answerLines(lines: AsyncIterable<Line[]>, answers: LineAnswers): AsyncGenerator<string> {
  const running: Promise<string>[] = [];
  let last = 0;
  let unread: string | undefined;
  try {
    for await (const group of inGroups(lines)) {
      last = group.at(-1)!.number;
      running.push(answerGroup(group, answers));
      if (running.length >= MAX_RUNNING) yield await running.shift()!;
    }
  } catch (error) {
    // The body is not what it says it is, gzip for one: what came before is answered, and what follows can't be read.
    if (!(error instanceof AppError)) throw error;
    answers.refused(error);
    unread = `{"line":${last + 1},${problemOf(error)}}\n`;
  }
  for (const text of running) yield await text;
  if (unread !== undefined) yield unread;
}

async function* inGroups(lines: AsyncIterable<Line[]>): AsyncGenerator<Line[]> {
  for await (const came of lines) {
    for (let from = 0; from < came.length; from += MAX_GROUP) yield came.slice(from, from + MAX_GROUP);
  }
}

/** The answers of a group, as lines. Never rejects: what can't be answered is told in its own line. */
async function answerGroup(lines: readonly Line[], { ask, refused }: LineAnswers): Promise<string> {
  const answers = new Array<string>(lines.length);
  const askable: { question: LineQuestion; index: number }[] = [];
  lines.forEach(({ text }, index) => {
    try {
      askable.push({ question: readQuestion(text), index });
    } catch (error) {
      refused(error);
      answers[index] = problemOf(error);
    }
  });
  // A call has one T, one key, either entities or rows, and is explained or not.
  const calls = Map.groupBy(
    askable,
    ({ question }) =>
      JSON.stringify(["entity" in question, question.asOf, question.key, question.explain === true]),
  );
  for (const together of calls.values()) {
    const told = await askPatiently(together.map(({ question }) => question), ask);
    together.forEach(({ index }, at) => answers[index] = told[at]!);
  }
  return lines.map(({ number }, index) => `{"line":${number},${answers[index]}}\n`).join("");
}

function readQuestion(text: string | undefined): LineQuestion {
  if (text === undefined) {
    throw invalid(`Cannot read the line: it has more than ${MAX_LINE_CHARS} characters`);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw invalid(`Cannot read the line: it is not JSON: ${messageOf(error)}`);
  }
  const isEntity = typeof value === "object" && value !== null && "entity" in value;
  // The one that is meant, so that its mistakes are told and not those of the other.
  return parseWith(lineQuestionSchema.options[isEntity ? 0 : 1], value, "read the line");
}

async function askPatiently(
  questions: readonly LineQuestion[],
  ask: Ask,
): Promise<string[]> {
  for (let attempt = 1;; attempt++) {
    const next = (error: unknown) => nextStep(error, { attempt, lines: questions.length });
    try {
      return await ask(questions, (error) => next(error) !== "tell");
    } catch (error) {
      const step = next(error);
      if (step === "tell") return questions.map(() => problemOf(error));
      if (step === "apart") {
        return (await Promise.all(questions.map((question) => askPatiently([question], ask)))).flat();
      }
      await delay(1_000 * ((error as AppError).retryAfter ?? 1));
    }
  }
}

/** A mistake in one line is not its neighbours': they are asked apart then. What is too busy is asked again later. */
function nextStep(
  error: unknown,
  { attempt, lines }: { attempt: number; lines: number },
): "tell" | "apart" | "later" {
  const code = error instanceof AppError ? error.code : undefined;
  if ((code === "unavailable" || code === "busy") && attempt < MAX_ATTEMPTS) return "later";
  return (code === "invalid" || code === "unprocessable") && lines > 1 ? "apart" : "tell";
}

function problemOf(error: unknown): string {
  const { code, message, reasons } = error instanceof AppError
    ? error
    : new AppError("internal", "Cannot predict: an internal error occurred");
  return `"error":${JSON.stringify({ code, message, reasons })}`;
}
