// Explain the place of a hit.

import { html } from "./vendor/preact.js";
import { reasons } from "./words.js";

export function Why({ hit }) {
  return html`<details><summary>Why here?</summary>
    <dl class="why">${reasons(hit).map(([name, text]) => html`<div key=${name}><dt>${name}</dt><dd>${text}</dd></div>`)}</dl>
  </details>`;
}
