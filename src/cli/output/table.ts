/** A column of a table: its head, the text of a row in it, and whether it holds numbers, which stand to the right. */
export interface Column<R> {
  readonly head: string;
  readonly text: (row: R) => string;
  readonly isNumber?: boolean;
}

const GAP = '  ';
const WIDE = /\p{Emoji_Presentation}|[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]/u;
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** Text from elsewhere as it may be shown: nothing in it moves the cursor, colours, or turns the direction of the line. */
export const shown = (text: string): string => text.replace(CONTROL, '\ufffd');

/** How many cells of a terminal a text takes. */
export function widthOf(text: string): number {
  let width = 0;
  for (const { segment } of new Intl.Segmenter('en').segment(text)) width += WIDE.test(segment) ? 2 : 1;
  return width;
}

const bold = (text: string): string => `\u001b[1m${text}\u001b[22m`;

/** Lines of a table whose columns stand under each other, each line ended. A last row of totals, where there is one, stands below a rule. */
export function renderTable<R>(
  columns: readonly Column<R>[],
  rows: readonly R[],
  options: { readonly isColoured: boolean; readonly total?: R },
): string {
  const all = options.total === undefined ? rows : [...rows, options.total];
  const cells = all.map((row) => columns.map(({ text }) => shown(text(row))));
  const widths = columns.map(({ head }, at) => Math.max(widthOf(head), ...cells.map((line) => widthOf(line[at] ?? ''))));
  const lineOf = (line: readonly string[]): string =>
    line
      .map((text, at) => {
        const space = ' '.repeat((widths[at] ?? 0) - widthOf(text));
        return columns[at]?.isNumber === true ? space + text : text + space;
      })
      .join(GAP)
      .trimEnd();
  const head = lineOf(columns.map((column) => column.head));
  const lines = [options.isColoured ? bold(head) : head, ...cells.map(lineOf)];
  if (options.total !== undefined) lines.splice(-1, 0, widths.map((width) => '-'.repeat(width)).join(GAP));
  return lines.map((line) => `${line}\n`).join('');
}

/** Lines of names and values, the values under each other. */
export function renderFields(
  fields: readonly (readonly [name: string, value: string])[],
  options: { readonly isColoured: boolean },
): string {
  const width = Math.max(...fields.map(([name]) => widthOf(name)));
  return fields
    .map(([name, value]) => {
      const padded = name + ' '.repeat(width - widthOf(name));
      return `${options.isColoured ? bold(padded) : padded}${GAP}${shown(value)}`.trimEnd();
    })
    .map((line) => `${line}\n`)
    .join('');
}
