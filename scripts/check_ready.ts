/**
 * The health check of a service's container: ends with 0 when the service can do its work, and else with 1 and what it
 * waits for. Needs nothing but Deno, which is all that the image has.
 *
 * @module
 */
const response = await fetch(`http://127.0.0.1:${Deno.env.get("HTTP_PORT")}/readyz`);
await response.body!.pipeTo(Deno.stdout.writable);
Deno.exit(response.ok ? 0 : 1);
