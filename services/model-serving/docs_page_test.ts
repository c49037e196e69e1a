/** The page at /docs as people see it, in a browser; skipped where there is none. */
import { assertStringIncludes } from "@std/assert";
import { eventually } from "shared/testing/poll.ts";
import { MODEL, startServing } from "./testing/serving.ts";

const BROWSERS = ["chromium", "chromium-browser", "google-chrome"];

async function findBrowser(): Promise<string | undefined> {
  for (const name of BROWSERS) {
    try {
      if ((await new Deno.Command(name, { args: ["--version"] }).output()).success) return name;
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  return undefined;
}

const browser = await findBrowser();

Deno.test({
  name: "/docs shows each model's own operation, drawn in a browser (skipped where there is none)",
  ignore: browser === undefined,
  async fn() {
    await using service = await startServing();
    const profile = await Deno.makeTempDir({ prefix: "microml-browser-" });
    try {
      await eventually(async () => {
        const { stdout } = await new Deno.Command(browser!, {
          args: [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            `--user-data-dir=${profile}`,
            "--virtual-time-budget=10000",
            "--dump-dom",
            `${service.url}/docs#/${MODEL}/predict-${MODEL}`,
          ],
        }).output();
        const page = new TextDecoder().decode(stdout);
        // Linked to it, the page opens the operation, with an example made of the signature.
        assertStringIncludes(page, `operations-${MODEL}-predict-${MODEL}`);
        assertStringIncludes(page, `Predict with ${MODEL}, version 1: regression`);
        assertStringIncludes(page, "orders.spend");
      }, { timeoutMs: 60_000 });
    } finally {
      await Deno.remove(profile, { recursive: true });
    }
  },
});
