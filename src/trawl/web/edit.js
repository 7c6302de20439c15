// Change a document's title, caption and metadata, or remove it.

import { send } from "./api.js";
import { html, useRef, useState } from "./vendor/preact.js";

const FIXED = ["title", "caption"];
const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;

// Tell the page that the library has changed.
const changed = () => document.dispatchEvent(new Event("library-changed"));

const written = (value) => (Array.isArray(value) ? value.join("\n") : String(value ?? ""));

// Return the value that a text stands for: that of its earlier type, if it fits.
function parsed(text, before) {
  const trimmed = text.trim();
  if (Array.isArray(before)) return text.split("\n").map((one) => one.trim()).filter(Boolean);
  if (typeof before === "boolean") return trimmed === "true";
  if (typeof before !== "string" && NUMBER.test(trimmed)) return Number(trimmed);
  return trimmed;
}

// `caption` is undefined for a document that has none.
export function Edit({ found, caption, tag, done, close }) {
  const given = { title: found.title, ...(caption === undefined ? {} : { caption }) };
  const start = [
    ...Object.entries(given).map(([name, before]) => ({ name, before, text: written(before) })),
    ...Object.entries(found.metadata).map(([name, before]) => ({ name, before, text: written(before), own: true })),
  ];
  const [rows, set] = useState(start);
  const [state, say] = useState({});
  const form = useRef();
  const change = (at, next) => set(rows.map((one, index) => (index === at ? { ...one, ...next } : one)));
  const add = () => {
    set([...rows, { name: "", text: "", own: true, fresh: true }]);
    setTimeout(() => form.current.querySelector(".row-edit:last-of-type input")?.focus());
  };
  const save = async (event) => {
    event.preventDefault();
    const patch = {};
    for (const one of rows) {
      const name = one.name.trim();
      if (one.fresh && !name && !one.text.trim()) continue;
      if (one.fresh && (!name || rows.some((other) => other !== one && other.name === name))) {
        return void say({ error: name ? `There is already a key ${name}.` : "Each value needs a key.", name });
      }
      if (one.gone) patch[name] = null;
      else if (one.fresh) patch[name] = parsed(one.text);
      else if (one.text !== written(one.before)) patch[name] = FIXED.includes(name) && !one.own && !one.text.trim() ? null : parsed(one.text, one.before);
    }
    if (!Object.keys(patch).length) return void close();
    say({ busy: true });
    try {
      await send("PATCH", `v1/documents/${found.id}`, patch, undefined, { "If-Match": tag });
      changed();
      done();
    } catch (problem) {
      say({ error: problem.status === 412 ? "Somebody has changed this document meanwhile. Close it, open it again, and repeat your change." : problem.message, name: rows.find((one) => one.name && problem.message.includes(`'${one.name}'`))?.name });
    }
  };
  return html`<form class="edit" ref=${form} onSubmit=${save} aria-label="Edit the document">
    ${rows.map((one, at) => html`<${Row} key=${at} row=${one} wrong=${state.error && state.name === one.name} change=${(next) => change(at, next)} />`)}
    <button type="button" onClick=${add}>Add a key</button>
    ${state.error && html`<p class="bad" role="alert">${state.error}</p>`}
    <p class="acts"><button type="submit" class="go" disabled=${state.busy}>${state.busy ? "Saving" : "Save"}</button>
      <button type="button" onClick=${close}>Cancel</button></p>
    <p class="where">An empty title or caption restores that of the file. Changes stay when the file is added again.</p>
  </form>`;
}

function Row({ row, wrong, change }) {
  const { name, text, before, own, gone, fresh } = row;
  const input = (event) => change({ text: event.target.value });
  const common = { value: text, onInput: input, disabled: gone, "aria-label": name || "Value", "aria-invalid": wrong ? "true" : null };
  const field = typeof before === "boolean"
    ? html`<select ...${common} onChange=${input}><option value="true">yes</option><option value="false">no</option></select>`
    : Array.isArray(before)
      ? html`<textarea rows=${Math.min(6, before.length + 1)} ...${common} title="One item a line"></textarea>`
      : name === "caption" && !own
        ? html`<textarea rows="3" ...${common}></textarea>`
        : html`<input type="text" placeholder=${fresh ? "value" : null} ...${common} />`;
  return html`<div class=${`row-edit${gone ? " removed" : ""}`}>
    ${fresh ? html`<input type="text" class="name" placeholder="key" aria-label="Key" value=${name} onInput=${(event) => change({ name: event.target.value })} />` : html`<span class="name">${name}${Array.isArray(before) ? ", one item a line" : ""}</span>`}
    ${field}
    ${own && !fresh && html`<button type="button" class="quiet" aria-label=${`${gone ? "Keep" : "Remove"} ${name}`} onClick=${() => change({ gone: !gone })}>${gone ? "Keep" : "Remove"}</button>`}
  </div>`;
}

// A button that asks once more before it removes the document.
export function Remove({ found, done }) {
  const [state, set] = useState({});
  const remove = async () => {
    set({ asking: true, busy: true });
    try {
      await send("DELETE", `v1/documents/${found.id}`);
      done();
      changed();
    } catch (problem) {
      set({ asking: true, error: problem.message });
    }
  };
  if (!state.asking) return html`<p><button type="button" onClick=${() => set({ asking: true })}>Remove from the library</button></p>`;
  return html`<div class="note" role="group" aria-label="Remove the document">
    <p>Remove “${found.title || found.source}” from the library? A file that was uploaded is deleted; any other file stays where it is.</p>
    ${state.error && html`<p class="bad" role="alert">${state.error}</p>`}
    <p class="acts"><button type="button" class="danger" disabled=${state.busy} onClick=${remove}>Remove</button>
      <button type="button" onClick=${() => set({})}>Keep</button></p></div>`;
}
