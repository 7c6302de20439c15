// Explain the place of a hit: in a few words, and in full.

import { html } from "./vendor/preact.js";
import { gist, reasons } from "./words.js";

export function Why({ hit }) {
  if (!hit.evidence.length) return null; // a list of what matches a filter has no ranks
  return html`<details class="because"><summary><span class="hidden">Why here? </span>${gist(hit)}</summary>
    <dl class="why">${reasons(hit).map(([name, text]) => html`<div key=${name}><dt>${name}</dt><dd>${text}</dd></div>`)}</dl>
  </details>`;
}
