// The library: what it holds, what was left out and why, and its documents by date and value.

import { AddButton, Empty } from "./adding.js";
import { column, literal } from "./address.js";
import { get } from "./api.js";
import { Card } from "./home.js";
import { Facet, facetKeys, Filters } from "./narrow.js";
import { go, Link } from "./navigation.js";
import { Refusal, State } from "./states.js";
import { html, useEffect, useState } from "./vendor/preact.js";
import { bytes, count } from "./words.js";

const PAGE = 48;
const KINDS = { text: ["passage"], image: ["picture"], audio: ["sound"] };
const SORTS = { "-added_at": "newest", added_at: "oldest", title: "title", "-size_bytes": "largest" };
const LISTS = { "": "Documents", failed: "Not read", notices: "Notices", skipped: "Skipped" };

const together = (question) => question.where.map((one) => `(${one})`).join(" and ");

// Return what `make` fetches, and how to fetch it again: [{found, problem}, again].
function useFetched(make, when) {
  const [state, set] = useState({});
  const [round, repeat] = useState(0);
  useEffect(() => {
    let current = true;
    make().then((found) => current && set({ found }), (problem) => current && set({ problem }));
    return () => { current = false; };
  }, [...when, round]);
  return [state, () => repeat((one) => one + 1)];
}

export function LibraryView({ question, stats, refresh }) {
  const list = question.list ?? "";
  useEffect(() => void refresh(), []);
  return html`
    <${About} stats=${stats} />
    <nav class="lists" aria-label="Lists">${Object.entries(LISTS).map(([name, title]) => html`
      <${Link} key=${name} to=${{ view: "library", list: name }} aria-current=${list === name ? "page" : null}>${title}${counted(stats, name)}</${Link}>`)}</nav>
    ${list === "skipped" ? html`<${SkippedList} version=${stats?.version} />` : list ? html`<${Faults} key=${list} kind=${list} version=${stats?.version} />` : html`<${Documents} question=${question} stats=${stats} />`}`;
}

function counted(stats, name) {
  const number = { failed: stats?.failed, notices: stats?.notices }[name];
  return number > 0 && html` <span class="count">${number.toLocaleString("en")}</span>`;
}

function About({ stats }) {
  if (!stats) return null;
  const chunks = Object.entries(KINDS).filter(([kind]) => stats.chunks[kind]).map(([kind, names]) => count(stats.chunks[kind], ...names));
  const facts = [
    ["Documents", stats.documents.toLocaleString("en")],
    ["Searchable", chunks.join(", ") || "nothing yet"],
    ["Models", stats.spaces.map((one) => `${one.name}, ${one.dimension} dimensions`).join("; ") || "none"],
    ["Size of the index", stats.size_bytes === null ? "not known" : bytes(stats.size_bytes)],
    ["State of the index", stats.unindexed ? `${stats.unindexed.toLocaleString("en")} new parts are searched without an index` : "complete"],
  ];
  return html`<section class="about" aria-label="About this library">
    <dl>${facts.map(([name, text]) => html`<div key=${name}><dt>${name}</dt><dd>${text}</dd></div>`)}</dl>
    ${!stats.several && html`<${AddButton} />`}
  </section>`;
}

function Documents({ question, stats }) {
  const [pages, set] = useState({ documents: [], next: 0 });
  const where = together(question);
  const sort = question.sort || "-added_at";
  const fetched = (offset) => get("v1/documents", { ...(where ? { where } : { failed: false }), sort, limit: PAGE, offset });
  const [first, again] = useFetched(() => fetched(0), [where, sort, stats?.version]);
  useEffect(() => {
    if (first.found) set({ documents: first.found.documents, next: first.found.next_offset, total: first.found.total });
  }, [first.found]);
  const more = () => fetched(pages.next).then(
    (page) => set({ ...pages, documents: [...pages.documents, ...page.documents], next: page.next_offset, problem: null }),
    (problem) => set({ ...pages, problem }),
  );
  if (first.problem) return html`<${Refusal} problem=${first.problem} again=${again} />`;
  if (!first.found) return null;
  if (!first.found.total && !where) {
    return html`<${Empty} several=${stats?.several} />`;
  }
  return html`
    <${Timeline} question=${question} stats=${stats} />
    <${Filters} question=${question} />
    <${Values} question=${question} stats=${stats} />
    <p class="bar"><span role="status">${count(pages.total ?? 0, "document")}</span>
      <label>Order <select value=${sort} onChange=${(event) => go({ ...question, sort: event.target.value })}>
        ${Object.entries(SORTS).map(([key, name]) => html`<option value=${key}>${name}</option>`)}</select></label></p>
    <div class="cards">${pages.documents.map((one) => html`<${Card} key=${one.id} found=${one} />`)}</div>
    ${pages.problem && html`<${Refusal} problem=${pages.problem} again=${more} />`}
    ${pages.next !== null && !pages.problem && html`<button type="button" class="next" onClick=${more}>More documents</button>`}`;
}

// The most frequent values, each of which becomes a filter.
function Values({ question, stats }) {
  const [open, toggle] = useState(false);
  const keys = facetKeys(stats?.columns ?? {});
  const where = together(question);
  const [{ found }] = useFetched(() => (open && keys.length ? get("v1/facets", { key: keys, ...(where && { where }), limit: 50 }) : Promise.resolve(null)), [open, where, keys.length]);
  if (!keys.length) return null;
  const add = (condition) => go({ ...question, where: [...question.where.filter((one) => one !== condition), condition] });
  return html`<div class="narrow">
    <button type="button" class="quiet" aria-expanded=${open} onClick=${() => toggle(!open)}>Filter</button>
    ${open && html`<div id="facets">${(found?.facets ?? []).filter((one) => one.counts.length).map((one) => html`<${Facet} key=${one.key} name=${one.key} type=${stats.columns[one.key]} counts=${one.counts} add=${add} />`)}</div>`}
  </div>`;
}

// --- a timeline ------------------------------------------------------------------------------

const YEAR = /^(year|.*_year|year_.*)$/i;

function dated(columns) {
  const names = Object.keys(columns ?? {});
  return names.find((name) => YEAR.test(name) && /int/i.test(columns[name])) ?? names.find((name) => /date|time/i.test(columns[name]));
}

// Return the documents of each year, those between included: [[year, count]].
function years(counts) {
  const sums = new Map();
  for (const one of counts) {
    const year = Number(String(one.value).slice(0, String(one.value).indexOf("-", 1) > 0 ? 4 : undefined));
    if (Number.isInteger(year)) sums.set(year, (sums.get(year) ?? 0) + one.count);
  }
  const known = [...sums.keys()].sort((one, other) => one - other);
  const [first, last] = [known[0], known.at(-1)];
  if (!(last - first < 400)) return known.map((year) => [year, sums.get(year)]);
  return Array.from({ length: last - first + 1 }, (_, at) => [first + at, sums.get(first + at) ?? 0]);
}

const MOST_BARS = 60;

// Return at most `MOST_BARS` stretches of years: [[from, to, count]].
function stretches(counts) {
  const all = years(counts);
  const size = Math.ceil(all.length / MOST_BARS);
  return Array.from({ length: Math.ceil(all.length / size) }, (_, at) => {
    const some = all.slice(at * size, (at + 1) * size);
    return [some[0][0], some.at(-1)[0], some.reduce((sum, [, number]) => sum + number, 0)];
  });
}

function Timeline({ question, stats }) {
  const key = dated(stats?.columns);
  const others = question.where.filter((one) => !one.startsWith(`${column(key ?? "")} `));
  const where = others.map((one) => `(${one})`).join(" and ");
  const [{ found }] = useFetched(() => (key ? get("v1/facets", { key, ...(where && { where }), limit: 1000 }) : Promise.resolve(null)), [key, where, stats?.version]);
  const bars = found ? stretches(found.facets[0].counts) : [];
  if (bars.length < 2) return null;
  const most = Math.max(...bars.map((one) => one[2]));
  const isDate = /date|time/i.test(stats.columns[key]);
  const bound = (year, end) => (isDate ? literal(`${year}-${end}`) : String(year));
  const pick = ([from, to]) => {
    const condition = `${column(key)} >= ${bound(from, "01-01")} and ${column(key)} <= ${bound(to, "12-31")}`;
    go({ ...question, where: question.where.includes(condition) ? others : [...others, condition] });
  };
  return html`<section class="timeline" aria-label=${`Documents by ${key}`}>
    <ol>${bars.map((bar) => html`<li key=${bar[0]}>
      <button type="button" disabled=${!bar[2]} onClick=${() => pick(bar)} title=${`${bar[0] === bar[1] ? bar[0] : `${bar[0]}–${bar[1]}`}: ${bar[2]}`}
        aria-label=${`${bar[0] === bar[1] ? bar[0] : `${bar[0]} to ${bar[1]}`}: ${count(bar[2], "document")}`}><span style=${{ "--share": bar[2] / most }}></span></button></li>`)}</ol>
    <p><span>${bars[0][0]}</span><span>${key}</span><span>${bars.at(-1)[1]}</span></p>
  </section>`;
}

// --- what was left out -------------------------------------------------------------------------

function Faults({ kind, version }) {
  const [{ found, problem }, again] = useFetched(() => get("v1/documents", { [kind]: true, limit: 1000 }), [kind, version]);
  if (problem) return html`<${Refusal} problem=${problem} again=${again} />`;
  if (!found) return null;
  const next = kind === "failed"
    ? "Repair or convert these files and add them again. They are not in any result."
    : "These files are searchable. A notice says what differs from the file.";
  if (!found.total) return html`<${State} title=${kind === "failed" ? "Every file was read" : "There are no notices"} />`;
  return html`<p class="bar">${next}</p><${Reasons} rows=${found.documents.map((one) => [one.source, one.error ? [one.error] : one.notices])} />
    ${found.total > found.documents.length && html`<p class="rest">${count(found.total - found.documents.length, "further file")}: <code>trawl status --${kind}</code></p>`}`;
}

function SkippedList({ version }) {
  const [{ found, problem }, again] = useFetched(() => get("v1/skipped", { limit: 1000 }), [version]);
  if (problem) return html`<${Refusal} problem=${problem} again=${again} />`;
  if (!found) return null;
  if (!found.total) return html`<${State} title="No file was skipped"><p>Every file of the added folders is of a type that is read.</p></${State}>`;
  return html`<p class="bar">These files are in the added folders and are not searchable, because their type is not read.</p>
    <${Reasons} rows=${found.files.map((one) => [one.source, [one.reason]])} />
    ${found.total > found.files.length && html`<p class="rest">${count(found.total - found.files.length, "further file")}: <code>trawl status --skipped</code></p>`}`;
}

const Reasons = ({ rows }) => html`<dl class="reasons">${rows.map(([name, reasons]) => html`
  <div key=${name}><dt>${name}</dt><dd>${reasons.map((one) => html`<p>${one}</p>`)}</dd></div>`)}</dl>`;
