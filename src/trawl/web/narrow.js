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
      ${name}${modality && html` <span class="count">${counts[modality]?.toLocaleString("en") ?? ""}</span>`}
    </${Link}>`)}</nav>`;
}

// The filters of a question, each with a button that removes it.
export function Filters({ question }) {
  const without = (index) => ({ ...question, where: question.where.filter((_, at) => at !== index), show: "" });
  const ones = question.where.map((one, at) => [one, () => go(without(at))]);
  if (question.map) ones.push(["region of the map", () => go({ ...question, map: "", show: "" })]);
  return ones.length > 0 && html`<ul class="filters" aria-label="Filters">${ones.map(([one, remove]) => html`
    <li class="chip" key=${one}><span class="name">${spoken(one)}</span>
      <button type="button" class="remove" aria-label=${`Remove the filter ${spoken(one)}`} onClick=${remove}><${Icon} name="close" /></button></li>`)}</ul>`;
}

// A filter in words: "topic: physics", "year from 2010 to 2012". Others are shown as they are written.
function spoken(filter) {
  const equal = /^"?([^"=<>']+?)"? = (?:'((?:[^']|'')*)'|([^' ]+))$/.exec(filter);
  if (equal) return `${equal[1]}: ${equal[2]?.replaceAll("''", "'") ?? equal[3]}`;
  const range = /^"?([^"=<>']+?)"? >= '?([^' ]+)'? and \S+ <= '?([^' ]+)'?$/.exec(filter);
  if (range) return `${range[1]} from ${range[2]} to ${range[3]}`;
  const bound = /^"?([^"=<>']+?)"? ([<>])= '?([^' ]+)'?$/.exec(filter);
  return bound ? `${bound[1]} ${bound[2] === ">" ? "from" : "to"} ${bound[3]}` : filter;
}

const NOT_COUNTED = ["modality", "document_id", "uri"]; // the tabs have the first, all others differ

// The columns whose values are counted: texts, and numbers and dates as ranges.
export const facetKeys = (columns) =>
  Object.keys(columns).filter((name) => !NOT_COUNTED.includes(name)).slice(0, 10);

export function Narrow({ question, stats, facets }) {
  const [open, toggle] = useState(false);
  const columns = stats?.columns ?? {};
  const names = facetKeys(columns);
  if (!names.length) return null;
  const add = (condition) => go({ ...question, where: [...question.where.filter((one) => one !== condition), condition], show: "" });
  return html`<section class="narrow" aria-label="Filters and order">
    <button type="button" class="quiet" aria-expanded=${open} aria-controls="facets" onClick=${() => toggle(!open)}>Filter</button>
    <label>Sort by <select value=${question.sort} onChange=${(event) => go({ ...question, sort: event.target.value, show: "" })}>
      <option value="">best match</option>
      ${names.map((name) => [html`<option value=${name}>${name}, ascending</option>`, html`<option value=${`-${name}`}>${name}, descending</option>`])}
    </select></label>
    ${open && html`<div id="facets" aria-busy=${facets ? null : "true"}>
      ${(facets ?? []).filter((one) => one.counts.length && one.key !== "modality").map((one) => html`<${Facet} key=${one.key} name=${one.key} type=${columns[one.key]} counts=${one.counts} add=${add} />`)}
      ${facets?.every((one) => !one.counts.length || one.key === "modality") && html`<p>These results have no metadata.</p>`}</div>`}
  </section>`;
}

const isRange = (type) => /int|real|float|number|date|time/i.test(type);

export function Facet({ name, type, counts, add }) {
  return html`<section><h3>${name}</h3>
    ${isRange(type) && counts.length > 1 && html`<${Range} name=${name} type=${type} counts=${counts} add=${add} />`}
    <ul>${counts.slice(0, MOST_VALUES).map((one) => html`<li key=${one.value}>
      <button type="button" class="quiet" onClick=${() => add(`${column(name)} = ${literal(one.value)}`)}>${value(one.value)} <span class="count">${one.count}</span></button></li>`)}</ul>
  </section>`;
}

// A range between two values. The least and the greatest of those counted are shown as examples.
function Range({ name, type, counts, add }) {
  const isDate = /date|time/i.test(type);
  const values = counts.map((one) => one.value).sort((one, other) => (one < other ? -1 : 1));
  const submit = (event) => {
    event.preventDefault();
    const { from, to } = Object.fromEntries(new FormData(event.target));
    const written = (one) => (isDate ? literal(one) : String(Number(one)));
    const bounds = [from && `${column(name)} >= ${written(from)}`, to && `${column(name)} <= ${written(to)}`].filter(Boolean);
    if (bounds.length) add(bounds.join(" and "));
  };
  const kind = isDate ? "date" : "number";
  return html`<form class="range" onSubmit=${submit}>
    <input name="from" type=${kind} step="any" placeholder=${values[0]} aria-label=${`${name} from`} />
    <span aria-hidden="true">–</span>
    <input name="to" type=${kind} step="any" placeholder=${values.at(-1)} aria-label=${`${name} to`} />
    <button type="submit">Apply</button>
  </form>`;
}
