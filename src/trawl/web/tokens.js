// Show the design tokens: what tokens.css defines.

import { html, render } from "./vendor/preact.js";

const names = [...document.styleSheets]
  .filter((sheet) => sheet.href?.endsWith("/tokens.css"))
  .flatMap((sheet) => [...sheet.cssRules].filter((rule) => rule.selectorText === ":root"))
  .flatMap((rule) => [...rule.style].filter((name) => name.startsWith("--")));
const value = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function Sample({ name }) {
  if (/^--t\d/.test(name)) return html`<span style=${{ fontSize: `var(${name})` }}>Muon decay</span>`;
  if (/^--s\d/.test(name)) return html`<span class="space" style=${{ width: `var(${name})` }}></span>`;
  if (/^--(sans|mono)/.test(name)) return html`<span style=${{ fontFamily: `var(${name})` }}>Muon decay, 2.2 µs</span>`;
  if (/^--(lift)/.test(name)) return html`<span class="swatch" style=${{ boxShadow: `var(${name})` }}></span>`;
  if (/^--(round|wide)/.test(name)) return html`<span class="swatch" style=${{ borderRadius: name === "--round" ? `var(${name})` : 0 }}></span>`;
  return html`<span class="swatch" style=${{ background: `var(${name})` }}></span>`;
}

render(html`<h1>Design tokens</h1>
  <table><tbody>${names.map((name) => html`<tr key=${name}><th scope="row"><code>${name}</code></th><td><${Sample} name=${name} /></td><td><code>${value(name)}</code></td></tr>`)}</tbody></table>`, document.getElementById("app"));
