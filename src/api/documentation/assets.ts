/** The style of the pages: readable on a telephone, in the dark, and on paper. */
export const STYLE = `:root {
  color-scheme: light dark;
  --text: light-dark(#1c2128, #d8dee4);
  --soft: light-dark(#57606a, #9aa4ae);
  --back: light-dark(#ffffff, #14181d);
  --panel: light-dark(#f4f6f8, #1d232a);
  --line: light-dark(#d5dae0, #343c46);
  --link: light-dark(#0b57c0, #7db4ff);
  --good: light-dark(#116329, #6fd08c);
  --bad: light-dark(#a40e26, #ff9492);
}
* { box-sizing: border-box; }
body { margin: 0; color: var(--text); background: var(--back); font: 16px/1.55 system-ui, sans-serif; }
a { color: var(--link); text-decoration: none; }
a:hover { text-decoration: underline; }
:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
.skip { position: absolute; left: -999rem; }
.skip:focus { left: 1rem; top: 1rem; padding: .5rem 1rem; background: var(--back); }
header { border-bottom: 1px solid var(--line); background: var(--panel); }
nav { max-width: 64rem; margin: 0 auto; padding: .75rem 1rem; display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; }
nav a[aria-current] { font-weight: 600; color: var(--text); }
main { max-width: 64rem; margin: 0 auto; padding: 1rem 1rem 6rem; overflow-wrap: anywhere; }
main:focus { outline: none; }
h1 { font-size: 1.8rem; line-height: 1.2; }
h2 { font-size: 1.25rem; margin: 1.5rem 0 .25rem; }
h2 a { color: inherit; }
h3 { font-size: 1rem; margin: 1rem 0 .25rem; }
p { margin: .35rem 0; }
code, pre { font: .9em/1.5 ui-monospace, monospace; }
pre { overflow-x: auto; padding: .75rem; background: var(--panel); border: 1px solid var(--line); border-radius: 6px; }
article { padding: .5rem 0 1.25rem; border-bottom: 1px solid var(--line); scroll-margin-top: 4.5rem; }
article:target { border-left: 4px solid var(--link); padding-left: .75rem; }
.note, .type, .optional { color: var(--soft); font-size: .93em; }
.optional { font-style: italic; }
.name { font-weight: 600; }
.method { display: inline-block; min-width: 4.2rem; padding: 0 .4rem; text-align: center; font: 600 .8rem/1.6 ui-monospace, monospace; border: 1px solid currentColor; border-radius: 4px; }
.get { color: var(--link); }
.post, .put, .patch { color: var(--good); }
.delete { color: var(--bad); }
.request code { font-size: 1rem; }
.index, .fields { list-style: none; margin: .25rem 0; padding: 0; }
.index li { padding: .2rem 0; }
.fields li { padding: .25rem 0 .25rem .75rem; border-left: 2px solid var(--line); }
.fields .fields { margin-left: .75rem; }
.answers dt { margin-top: .5rem; }
.answers dd { margin: 0 0 0 1rem; }
.status { font: 600 .9rem ui-monospace, monospace; }
.good { color: var(--good); }
.bad { color: var(--bad); }
.search { position: sticky; top: 0; padding: .5rem 0; background: var(--back); }
.search[hidden] { display: none; }
.search input { width: min(24rem, 100%); padding: .4rem .6rem; font: inherit; color: inherit; background: var(--back); border: 1px solid var(--soft); border-radius: 6px; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid var(--line); }
td code { overflow-wrap: normal; }
summary { cursor: pointer; }
@media print { header, .search, .skip { display: none; } }
`;

/** The search of the pages: every word must occur in an entry. "/" goes to the box, Escape empties it. */
export const SCRIPT = `'use strict';
const box = document.getElementById('search');
const found = document.getElementById('found');
const entries = [...document.querySelectorAll('[data-entry]')].map((element) => ({ element, text: element.textContent.toLowerCase() }));
const groups = [...document.querySelectorAll('[data-group]')];
function search() {
  const words = box.value.toLowerCase().split(/\\s+/).filter((word) => word !== '');
  let count = 0;
  for (const { element, text } of entries) {
    element.hidden = !words.every((word) => text.includes(word));
    if (!element.hidden) count += 1;
  }
  for (const group of groups) group.hidden = group.querySelector('[data-entry]:not([hidden])') === null;
  found.textContent = words.length === 0 ? '' : count + ' of ' + entries.length;
}
if (box !== null) {
  box.parentElement.hidden = false;
  box.addEventListener('input', search);
  box.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape') return;
    box.value = '';
    search();
  });
  document.addEventListener('keydown', (event) => {
    if (event.key !== '/' || event.ctrlKey || event.metaKey || event.altKey || document.activeElement === box) return;
    event.preventDefault();
    box.focus();
  });
  // The browser keeps what was typed when it goes back.
  search();
}
`;
