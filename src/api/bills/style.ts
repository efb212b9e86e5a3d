/** The style of a bill: a sheet on the screen, the sheet itself on paper. */
export const BILL_STYLE = `:root { color-scheme: light; --ink: #1b2430; --soft: #5b6775; --line: #d9dfe6; --wash: #f3f5f8; --accent: #1f4f8f; }
* { box-sizing: border-box; }
body { margin: 0; padding: 2.5rem 1rem; color: var(--ink); background: #e9edf2; font: 15px/1.5 "Helvetica Neue", Helvetica, Arial, "Liberation Sans", sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 3.5rem 4rem 3rem; background: #fff; border-top: 4px solid var(--accent); box-shadow: 0 1px 3px rgb(27 36 48 / 18%); overflow-wrap: anywhere; }
.head { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 1rem 3rem; margin-bottom: 2.25rem; }
.head > div { min-width: 0; }
.issuer { color: var(--soft); white-space: pre-line; text-align: right; }
.issuer strong { color: var(--ink); }
h1 { margin: 0; font-size: 1.9rem; line-height: 1.15; font-weight: 600; letter-spacing: -.01em; }
.number { margin: .3rem 0 0; color: var(--soft); }
h2 { margin: 2.25rem 0 .5rem; font-size: 1.05rem; font-weight: 600; }
.facts { display: flex; flex-wrap: wrap; gap: 1.25rem 3.5rem; margin: 0 0 2rem; }
.facts div { min-width: 8rem; }
dt { color: var(--soft); font-size: .82rem; }
dd { margin: 0; font-weight: 500; }
table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
th { padding: .45rem .75rem; text-align: left; font-size: .82rem; font-weight: 500; color: var(--soft); border-bottom: 1px solid var(--ink); vertical-align: bottom; }
td { padding: .45rem .75rem; border-bottom: 1px solid var(--line); vertical-align: top; }
th:first-child, td:first-child { padding-left: 0; }
th:last-child, td:last-child { padding-right: 0; }
.figure { text-align: right; white-space: nowrap; overflow-wrap: normal; }
thead th, .whole { white-space: nowrap; }
.usage th:first-child { width: 34%; }
.usage .figure { width: 16%; }
.usage .figure:last-child { width: 20%; }
.group th { padding: 1rem 0 .3rem; color: var(--ink); font-size: .95rem; font-weight: 600; border-bottom: 1px solid var(--line); }
.group .soft { font-weight: 400; }
.soft { color: var(--soft); }
.sums { display: flex; justify-content: flex-end; margin-top: 1.5rem; }
.sums table { width: auto; min-width: 22rem; }
.sums td { border: 0; padding: .25rem 0 .25rem 2rem; }
.sums td:first-child { padding-left: 0; color: var(--soft); }
.sums .total td { padding-top: .6rem; padding-bottom: .6rem; border-top: 2px solid var(--ink); color: var(--ink); font-size: 1.2rem; font-weight: 600; }
.note { margin: 2rem 0 0; padding: .9rem 1.1rem; background: var(--wash); border-left: 3px solid var(--accent); }
.note h2 { margin: 0 0 .25rem; font-size: .95rem; }
.note ul { margin: 0; padding-left: 1.1rem; }
.note p { margin: .4rem 0 0; }
footer { margin-top: 3rem; padding-top: .9rem; border-top: 1px solid var(--line); color: var(--soft); font-size: .8rem; }
footer p { margin: .2rem 0; }
code { font: .95em ui-monospace, "SFMono-Regular", Menlo, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
@media screen and (max-width: 48rem) {
  body { padding: 0; }
  main { padding: 1.75rem 1.1rem; box-shadow: none; }
  .issuer { text-align: left; }
  .wide { overflow-x: auto; }
  .wide td:first-child { min-width: 8rem; }
  .sums table { width: 100%; min-width: 0; }
}
@page { size: A4; margin: 18mm 16mm 20mm; }
@media print {
  html { font-size: 9.5pt; }
  body { padding: 0; background: #fff; font-size: 9.5pt; }
  .facts { gap: 1rem 2.5rem; }
  main { max-width: none; padding: 0; border: 0; box-shadow: none; }
  h1 { font-size: 18pt; }
  thead { display: table-header-group; }
  tr, .sums, .note, footer { break-inside: avoid; }
  .group { break-after: avoid; }
  .note { background: none; border: 1px solid var(--line); }
}
`;
