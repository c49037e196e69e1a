import { Html } from "./html.ts";

/** Light or dark as the reader's system is; the columns of a wide screen below each other on a narrow one. */
export const STYLE: Html = new Html(`
  :root { color-scheme: light dark; --paper: #fff; --ink: #1b1f24; --faint: #5b6573; --line: #d9dde3;
    --card: #f6f7f9; --main: #3b6fd4; --other: #c2410c; --good: #15803d; }
  @media (prefers-color-scheme: dark) { :root { --paper: #14171b; --ink: #e6e9ee; --faint: #9aa4b2;
    --line: #343a43; --card: #1d2127; --main: #6f9bf0; --other: #fb923c; --good: #4ade80; } }
  * { box-sizing: border-box; }
  body { margin: 0 auto; max-width: 1120px; padding: 24px; background: var(--paper); color: var(--ink);
    font: 15px/1.5 system-ui, sans-serif; overflow-wrap: break-word; }
  h1 { margin: 0; font-size: 26px; } h2 { margin: 40px 0 8px; font-size: 18px; } h3 { margin: 20px 0 6px; font-size: 15px; }
  .faint { color: var(--faint); } .good { color: var(--good); } .bad { color: var(--other); }
  nav { display: flex; flex-wrap: wrap; gap: 4px 16px; margin: 16px 0; } a { color: var(--main); }
  .scroll { overflow-x: auto; }
  table { border-collapse: collapse; }
  th, td { padding: 4px 16px 4px 0; text-align: left; vertical-align: top; }
  th { color: var(--faint); font-weight: 500; } tr { border-bottom: 1px solid var(--line); }
  td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
  .nowrap { white-space: nowrap; } b { font-weight: 600; } code { overflow-wrap: anywhere; font-size: 13px; }
  .tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px; margin: 16px 0; }
  .tile { padding: 12px; border: 1px solid var(--line); border-radius: 8px; background: var(--card); }
  .tile b { display: block; font-size: 22px; font-weight: 600; font-variant-numeric: tabular-nums; }
  .tile span { display: block; color: var(--faint); font-size: 13px; }
  .charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(340px, 100%), 1fr)); gap: 16px; }
  figure { margin: 0 0 16px; padding: 12px; border: 1px solid var(--line); border-radius: 8px; background: var(--card); }
  .training { color: var(--main); } .validation { color: var(--other); } .charts figure { margin: 0; } figure svg { max-width: 100%; height: auto; }
  figcaption { font-weight: 600; font-size: 14px; }
  .hint { border-left: 3px solid var(--other); padding-left: 10px; margin: 4px 0; }
  td.number .bar { margin-left: auto; }
  .bar { position: relative; display: block; width: 140px; height: 8px; margin: 6px 0; border-radius: 3px;
    background: var(--card); }
  .bar i { position: absolute; top: 0; bottom: 0; border-radius: 3px; background: var(--main); }
  .bar i.whole { top: -3px; bottom: -3px; width: 2px; border-radius: 0; background: var(--faint); }
  .bar i.range { opacity: 0.45; } .bar i.point { width: 3px; }
  .confusion td { min-width: 84px; padding: 6px 10px; text-align: right; font-variant-numeric: tabular-nums; }
  @media (max-width: 600px) { body { padding: 14px; } th, td { padding-right: 10px; } .bar { width: 80px; } }`);
