/** What the sections of a card are made of. @module */
import { type Html, html } from "./html.ts";

export interface Section {
  /** Its place in the page. */
  id: string;
  title: string;
  body: Html;
}

export async function figure(caption: string | Html, chart: Promise<Html>): Promise<Html> {
  return html`<figure><figcaption>${caption}</figcaption>${await chart}</figure>`;
}

/** Names with their values. */
export function facts(values: Readonly<Record<string, string>>): Html {
  const rows = Object.entries(values).map(([name, value]) =>
    html`
      <tr>
        <th>${name}</th>
        <td><code>${value}</code></td>
      </tr>
    `
  );
  return html`
    <div class="scroll">
      <table>${rows}</table>
    </div>
  `;
}

/** A cell of a table: text, markup, or a number, which may have a bar below it. */
export type Cell = string | Html | { number: string; tone?: "good" | "bad"; bar?: Html };

export function table(heads: readonly string[], rows: readonly (readonly Cell[])[]): Html {
  const isNumber = heads.map((_, column) => rows.some((row) => isNumberCell(row[column])));
  return html`
    <div class="scroll">
      <table>
        <thead>
          <tr>${heads.map((head, column) =>
            isNumber[column] ? html`<th class="number">${head}</th>` : html`<th>${head}</th>`
          )}</tr>
        </thead>
        <tbody>${rows.map((row) => html`<tr>${row.map(toCell)}</tr>`)}</tbody>
      </table>
    </div>
  `;
}

const isNumberCell = (cell: Cell | undefined) => typeof cell === "object" && "number" in cell;

function toCell(cell: Cell): Html {
  if (typeof cell === "object" && "number" in cell) {
    return html`<td class="number ${cell.tone}">${cell.number}${cell.bar}</td>`;
  }
  return html`<td>${cell}</td>`;
}

/** Five digits of a measured value. */
export const number = (value: number | null | undefined): string =>
  value === undefined || value === null ? "-" : String(Number(value.toPrecision(5)));

/** Three digits, where a glance is enough. */
export const rough = (value: number): string => String(Number(value.toPrecision(3)));

/** A count with its thousands apart. */
export const count = (value: number): string => value.toLocaleString("en");

export const percent = (share: number): string => `${(share * 100).toFixed(1)}%`;

/** To the minute: what is finer says nothing here. */
export const minute = (instant: string): string => `${instant.slice(0, 10)} ${instant.slice(11, 16)}`;

/** The same in a table. */
export const minuteCell = (instant: string): Html => html`<span class="nowrap">${minute(instant)}</span>`;

/** `last_value` as people write it. */
export const words = (name: string): string => name.replaceAll("_", " ");
