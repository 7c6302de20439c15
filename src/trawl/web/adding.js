// Add files to the library: uploads in batches, then the progress of their jobs.

import { address, follow as stream, keyed, Problem } from "./api.js";
import { Icon } from "./icons.js";
import { Link, Show } from "./navigation.js";
import { State } from "./states.js";
import { html, useEffect, useReducer, useRef } from "./vendor/preact.js";
import { bytes, count } from "./words.js";

const BATCH_FILES = 20;
const BATCH_BYTES = 32_000_000;
const FOLLOW_AGAIN_MS = 2000;
const RETRIED = new Set([0, 429, 502, 503, 504]);
const listeners = new Set();
let entries = []; // {id, file, state, share, reason, notices, document}
let running = false;
let last = 0;

// What a state is called. `waiting`, `sending` and `reading` are not the last ones.
const STATES = {
  waiting: "waiting", sending: "uploading", reading: "reading", added: "in the library", failed: "not added",
};
const isOpen = (entry) => ["waiting", "sending", "reading"].includes(entry.state);

function changed() {
  for (const listener of listeners) listener();
}

function set(some, change) {
  for (const entry of some) Object.assign(entry, change);
  changed();
}

const warn = (event) => event.preventDefault();

// Add files. They are sent in batches while the page is open.
export async function addFiles(files) {
  entries = [...entries, ...files.map((file) => ({ id: ++last, file, state: "waiting", share: 0, notices: [] }))];
  changed();
  if (running) return;
  running = true;
  window.addEventListener("beforeunload", warn);
  for (let batch = next(); batch.length; batch = next()) await send(batch);
  window.removeEventListener("beforeunload", warn);
  running = false;
  changed();
}

function next() {
  const batch = [];
  let size = 0;
  for (const entry of entries.filter((one) => one.state === "waiting")) {
    size += entry.file.size;
    if (batch.length && (size > BATCH_BYTES || batch.length === BATCH_FILES)) break;
    batch.push(entry);
  }
  return batch;
}

async function send(batch) {
  set(batch, { state: "sending", share: 0, reason: "", again: false });
  try {
    const job = await upload(batch);
    set(batch, { state: "reading", share: 1 });
    await watch(job.id, batch);
  } catch (problem) {
    // One file that is refused must not keep its whole batch out.
    if (batch.length > 1 && [400, 413, 415, 422].includes(problem.status)) {
      for (const entry of batch) await send([entry]);
    } else set(batch.filter(isOpen), { state: "failed", reason: why(problem), again: RETRIED.has(problem.status) });
  }
}

// Follow a job to its end. The files are stored, so that a lost connection is not a failure: the
// job goes on when the server does, and is followed again.
async function watch(id, batch) {
  for (;;) {
    try {
      await stream(`v1/jobs/${id}/events`, (one) => progress(batch, one));
    } catch (problem) {
      if (problem instanceof Problem && !RETRIED.has(problem.status)) throw problem;
    }
    const open = batch.filter(isOpen);
    if (!open.length) return;
    set(open, { reason: "The server does not answer. This file is stored there, and is read when the server is back." });
    await new Promise((resolve) => setTimeout(resolve, FOLLOW_AGAIN_MS));
  }
}

function why(problem) {
  const { status, message, retryS } = problem;
  if (status === 401) return "This library needs a key. Search first, enter it, and try again.";
  if (status === 403) return `Your key may not add files. ${message}`;
  if (status === 429) return `Too many requests. Try again${retryS ? ` in ${retryS} s` : " later"}.`;
  if (status === 0) return "The server does not answer.";
  return message;
}

// `fetch` does not say how much it has sent.
function upload(batch) {
  return new Promise((resolve, reject) => {
    const form = new FormData();
    for (const entry of batch) form.append("files", entry.file, entry.file.name);
    const request = new XMLHttpRequest();
    request.open("POST", address("v1/documents"));
    for (const [name, value] of Object.entries(keyed())) request.setRequestHeader(name, value);
    request.responseType = "json";
    request.upload.addEventListener("progress", (event) => {
      let rest = event.total ? (event.loaded / event.total) * batch.reduce((sum, one) => sum + one.file.size, 0) : 0;
      for (const entry of batch) {
        entry.share = entry.file.size ? Math.min(1, Math.max(0, rest / entry.file.size)) : 1;
        rest -= entry.file.size;
      }
      changed();
    });
    request.addEventListener("load", () => {
      const after = Number(request.getResponseHeader("Retry-After"));
      if (request.status === 202) resolve(request.response);
      else reject(new Problem(request.status, request.response ?? {}, after > 0 ? Math.ceil(after) : null));
    });
    request.addEventListener("error", () => reject(new Problem(0)));
    request.send(form);
  });
}

function progress(batch, job) {
  const failed = new Map((job.report?.failed ?? []).map((one) => [one.source, one.reason]));
  batch.forEach((entry, at) => {
    const file = job.files[at];
    entry.document = file?.document_id;
    entry.reason = "";
    if (job.state === "done") {
      const reason = failed.get(file?.source ?? entry.file.name);
      entry.state = reason === undefined ? "added" : "failed";
      entry.reason = reason ?? "";
      entry.notices = job.report.notices.filter((one) => one.source === file?.source).map((one) => one.notice);
    } else if (job.state === "failed" || job.state === "cancelled") {
      entry.state = "failed";
      entry.reason = job.error ?? "The job was cancelled.";
      entry.again = true;
    }
    else if (at < job.done) entry.read = true;
  });
  changed();
}

// Return the files of a drop, those in its folders included.
export async function dropped(transfer) {
  const roots = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!roots.some((one) => one.isDirectory)) return [...transfer.files];
  const files = [];
  const walk = async (entry) => {
    if (entry.isFile) files.push(await new Promise((resolve, reject) => entry.file(resolve, reject)));
    else {
      const reader = entry.createReader();
      for (;;) {
        const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
        if (!some.length) return;
        for (const one of some) await walk(one);
      }
    }
  };
  for (const root of roots) await walk(root);
  return files.filter((one) => !one.name.startsWith("."));
}

export function AddButton({ text = "Add files", class: look = "go" }) {
  const input = useRef();
  return html`<button type="button" class=${look} onClick=${() => input.current.click()}>${text}</button>
    <input ref=${input} type="file" multiple hidden data-add onChange=${(event) => { void addFiles([...event.target.files]); event.target.value = ""; }} />`;
}

// A library without documents. `children` are shown if documents can be added here.
export function Empty({ several, children }) {
  if (several) return html`<${State} title="These libraries are empty"><p>Add a folder to one of them with <code>trawl add FOLDER</code>.</p></${State}>`;
  return html`<${State} title="This library is empty"><p>Drop files here, or add a folder with <code>trawl add FOLDER</code>.</p>${children}</${State}>`;
}

// What is being added and what became of it. `refresh` is called when the last file is in.
export function Adding({ refresh }) {
  const [, draw] = useReducer((one) => one + 1, 0);
  useEffect(() => {
    listeners.add(draw);
    return () => listeners.delete(draw);
  }, []);
  const open = entries.filter(isOpen);
  const failed = entries.filter((one) => one.state === "failed");
  const done = entries.length - open.length;
  useEffect(() => { if (entries.length && !open.length) refresh(); }, [open.length]);
  if (!entries.length) return null;
  const again = failed.filter((one) => one.again);
  const repeat = () => {
    entries = entries.filter((one) => !again.includes(one));
    void addFiles(again.map((one) => one.file));
  };
  const close = () => { entries = open; changed(); };
  const title = open.length
    ? `Adding ${count(entries.length, "file")}: ${done} done`
    : `${count(entries.length - failed.length, "file")} in the library${failed.length ? `, ${failed.length} not added` : ""}`;
  return html`<section id="adding" aria-label="Files that are being added">
    <header><h2 role="status">${title}</h2>
      <button type="button" class="quiet round" aria-label=${open.length ? "Hide finished files" : "Close"} onClick=${close}><${Icon} name="close" /></button></header>
    <ul>${[...failed, ...entries.filter((one) => one.state !== "failed")].map((one) => html`<${Entry} key=${one.id} entry=${one} />`)}</ul>
    ${!open.length && html`<p class="acts">
      ${again.length > 0 && html`<button type="button" onClick=${repeat}>Try again</button>`}
      ${failed.length < entries.length && html`<${Link} class="button" to=${{ view: "library", sort: "-added_at" }}>Show the newest</${Link}>`}</p>`}
  </section>`;
}

function Entry({ entry }) {
  const { file, state, document: id, reason, notices, share } = entry;
  const shown = state === "sending" ? `${Math.round(share * 100)} % of ${bytes(file.size)}` : entry.read && state === "reading" ? "embedding" : STATES[state];
  return html`<li class=${state}>
    <span class="name">${state === "added" && id ? html`<${Show} id=${id}>${file.name}</${Show}>` : file.name}</span>
    <span class="count">${shown}</span>
    ${state === "sending" && html`<progress max="1" value=${share} aria-label=${`Upload of ${file.name}`}></progress>`}
    ${state === "reading" && html`<progress aria-label=${`Reading ${file.name}`}></progress>`}
    ${reason && html`<p class="bad">${reason}</p>`}
    ${notices.map((text) => html`<p class="count">${text}</p>`)}
  </li>`;
}
