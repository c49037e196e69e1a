/**
 * The command line of the platform: `deno task ml COMMAND`.
 *
 * @module
 */
import { AppError } from "shared/errors.ts";
import { readCommandLine, renderHelp } from "./command_line.ts";
import { WrongUsage } from "./command.ts";
import { COMMANDS } from "./commands.ts";
import { ProcessContext } from "./context.ts";
import { renderError } from "./render_error.ts";

async function main(args: readonly string[], context: ProcessContext): Promise<number> {
  try {
    const request = readCommandLine(args, COMMANDS);
    if ("help" in request) {
      context.print(renderHelp(request.help));
      return 0;
    }
    return await request.command.run(request.args, context);
  } catch (error) {
    context.endProgress();
    if (error instanceof WrongUsage) {
      // deno-lint-ignore no-console -- the command line speaks to a person
      console.error(`Cannot read the command line: ${error.message}\nSee deno task ml help`);
      return 2;
    }
    if (!(error instanceof AppError)) throw error;
    // deno-lint-ignore no-console -- as above
    console.error(renderError(error));
    return 1;
  }
}

if (import.meta.main) Deno.exit(await main(Deno.args, new ProcessContext()));
