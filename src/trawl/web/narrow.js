// Narrow the results: tabs with counts, filters, facets, and the order.

import { column, literal } from "./address.js";
import { Icon } from "./icons.js";
import { go, Link } from "./navigation.js";
import { html, useState } from "./vendor/preact.js";
import { value } from "./words.js";

const TABS = { "": "All", text: "Passages", image: "Pictures", audio: "Sounds" };
const MOST_VALUES = 8;

export function Tabs({ question, counts }) {
  return html`<nav id="tabs" aria-label="Kinds of results">${Object.entries(TABS).map(([modality, name]) => html`
    <${Link} key=${modality} to=${{ ...question, modality, show: "" }} aria-current=${question.modality === modality ? "page" : null}>
      ${name}${counts?.[modality] !== undefined && html` <span class="count">${counts[modality].toLocaleString("en")}</span>`}
    </${Link}>`)}</nav>`;
}

// The filters of a question, each with a button that removes it.
export function Filters({ question }) {
  const without = (index) => ({ ...question, where: question.where.filter((_, at) => at !== index), show: "" });
  const ones = question.where.map((one, at) => [one, () => go(without(at))]);
  if (question.map) ones.push(["region of the map", () => go({ ...question, map: "", show: "" })]);
  return ones.length > 0 && html`<ul class="filters" aria-label="Filters">${ones.map(([one, remove]) => html`
    <li class="chip" key=${one}><span class="name">${one}</span>
      <button type="button" class="remove" aria-label=${`Remove the filter ${one}`} onClick=${remove}><${Icon} name="close" /></button></li>`)}</ul>`;
}

// The columns whose values are counted: texts, and numbers and dates as ranges.
export const facetKeys = (columns) =>
  Object.keys(columns).filter((name) => name !== "modality").slice(0, 10);

export function Narrow({ question, stats, facets }) {
  const [open, toggle] = useState(false);
  const columns = stats?.columns ?? {};
  const names = facetKeys(columns);
  if (!names.length) return null;
  const add = (condition) => go({ ...question, where: [...question.where.filter((one) => one !== condition), condition], show: "" });
  return html`<div class="narrow">
    <button type="button" class="quiet" aria-expanded=${open} aria-controls="facets" onClick=${() => toggle(!open)}>Filter</button>
    <label>Sort by <select value=${question.sort} onChange=${(event) => go({ ...question, sort: event.target.value, show: "" })}>
      <option value="">best match</option>
      ${names.map((name) => [html`<option value=${name}>${name}, ascending</option>`, html`<option value=${`-${name}`}>${name}, descending</option>`])}
    </select></label>
    ${open && html`<div id="facets">${names.map((name) => html`<${Facet} key=${name} name=${name} type=${columns[name]} counts=${facets?.find((one) => one.key === name)?.counts} add=${add} />`)}</div>`}
  </div>`;
}

const isRange = (type) => /int|real|float|number|date|time/i.test(type);

function Facet({ name, type, counts, add }) {
  return html`<section><h3>${name}</h3>
    ${isRange(type) && html`<${Range} name=${name} type=${type} add=${add} />`}
    <ul>${(counts ?? []).slice(0, MOST_VALUES).map((one) => html`<li key=${one.value}>
      <button type="button" class="quiet" onClick=${() => add(`${column(name)} = ${literal(one.value)}`)}>${value(one.value)} <span class="count">${one.count}</span></button></li>`)}</ul>
  </section>`;
}

function Range({ name, type, add }) {
  const isDate = /date|time/i.test(type);
  const submit = (event) => {
    event.preventDefault();
    const { from, to } = Object.fromEntries(new FormData(event.target));
    const written = (one) => (isDate ? literal(one) : String(Number(one)));
    const bounds = [from && `${column(name)} >= ${written(from)}`, to && `${column(name)} <= ${written(to)}`].filter(Boolean);
    if (bounds.length) add(bounds.join(" and "));
  };
  const kind = isDate ? "date" : "number";
  return html`<form class="range" onSubmit=${submit}>
    <label>from <input name="from" type=${kind} step="any" /></label>
    <label>to <input name="to" type=${kind} step="any" /></label>
    <button type="submit">Apply</button>
  </form>`;
}
