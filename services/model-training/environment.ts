import { VERSION } from "shared/version.ts";

/** What runs of this copy are trained in, kept with each of them. */
export function describeEnvironment({ gitRevision, instance }: { gitRevision: string; instance: string }) {
  return {
    service: VERSION,
    deno: Deno.version.deno,
    v8: Deno.version.v8,
    os: `${Deno.build.os} ${Deno.build.arch}`,
    cores: String(navigator.hardwareConcurrency),
    instance,
    ...(gitRevision === "" ? {} : { gitRevision }),
  };
}
