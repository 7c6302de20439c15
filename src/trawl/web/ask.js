// The question box: words, pictures, sounds, a recording, and what is wrong with a question.

import { isMedia, partOf } from "./address.js";
import { Icon } from "./icons.js";
import { go } from "./navigation.js";
import { recording } from "./recording.js";
import { useSuggestions } from "./suggest.js";
import { html, useEffect, useLayoutEffect, useRef, useState } from "./vendor/preact.js";
import { sentence } from "./words.js";

const WEIGHTS = [0.25, 0.5, 1, 2, 4];
const MOST_SECONDS = 60;

// Words of the question in the box are kept by the page, not by the address, until they are asked.
export function Ask({ question, titles, stats, fault, say }) {
  const words = useRef();
  const file = useRef();
  const [text, write] = useState(question.q);
  useEffect(() => write(question.q), [question.q]);
  const suggestions = useSuggestions(words, text, write, stats);
  const ask = (changes = {}) => go({ ...question, q: text.trim(), show: "", all: false, view: question.view === "map" ? "map" : "", ...changes });
  const add = (files) => {
    const refused = files.filter((one) => !isMedia(one)).map((one) => one.name);
    if (refused.length) say(`${refused.join(", ")}: a question takes pictures and sounds.`);
    const parts = files.filter(isMedia).map(partOf);
    if (parts.length) ask({ parts: [...question.parts, ...parts] });
  };
  useEffect(() => {
    const paste = (event) => {
      const files = [...(event.clipboardData?.files ?? [])];
      if (!files.length) return;
      event.preventDefault();
      add(files);
    };
    document.addEventListener("paste", paste);
    return () => document.removeEventListener("paste", paste);
  });
  const submit = (event) => {
    event.preventDefault();
    suggestions.close();
    const to = { q: text.trim(), show: "", all: false };
    if (to.q === question.q && !fault) document.querySelector(".hit .open")?.focus();
    ask(to);
  };
  useLayoutEffect(() => {
    const found = fault && /character (\d+):/.exec(fault.message);
    if (!found || text.trim() !== fault.q) return;
    const at = Number(found[1]) - 1;
    words.current.focus();
    words.current.setSelectionRange(at, at + Math.max(1, marked(fault.message).length));
  }, [fault]);
  return html`<form id="ask" role="search" onSubmit=${submit}>
    <div class="box">
      ${question.parts.length > 0 && html`<div id="chips" role="list" aria-label="Pictures, sounds and results of this question">
        ${question.parts.map((part, at) => html`<${Chip} key=${part.like ?? part.name} part=${part} titles=${titles}
          change=${(one) => ask({ parts: question.parts.flatMap((other, index) => (index === at ? one ?? [] : [other])) })} />`)}</div>`}
      <input id="words" ref=${words} name="q" type="search" maxlength="4000" autocomplete="off" autocapitalize="off" spellcheck=${false}
        placeholder="Search texts, pictures and sounds" aria-label="Question" aria-describedby="fault" aria-invalid=${fault ? "true" : null} enterkeyhint="search"
        value=${text} onInput=${(event) => write(event.target.value)} ...${suggestions.attributes} />
      <button type="button" id="attach" class="quiet round" aria-label="Search by a picture or a sound" title="Search by a picture or a sound" onClick=${() => file.current.click()}><${Icon} name="camera" /></button>
      <${Microphone} add=${add} say=${say} />
      <button type="submit" class="go"><${Icon} name="search" /><span>Search</span></button>
    </div>
    ${suggestions.list}
    <${Fault} fault=${fault} />
    <input id="file" ref=${file} type="file" accept="image/*,audio/*" multiple hidden onChange=${(event) => { add([...event.target.files]); event.target.value = ""; }} />
  </form>`;
}

const previews = new WeakMap();

function Preview({ file }) {
  const [failed, fail] = useState(!file.type.startsWith("image/"));
  if (failed) return html`<${Icon} name=${file.type.startsWith("audio/") ? "audio" : "image"} />`;
  if (!previews.has(file)) previews.set(file, URL.createObjectURL(file));
  return html`<img src=${previews.get(file)} alt="" onError=${() => fail(true)} />`;
}

// A picture, a sound or a result of the question, with its weight. `change` takes the new part.
function Chip({ part, titles, change }) {
  const name = part.file ? part.file.name || "pasted picture" : titles.get(part.like) ?? "a result";
  const away = part.weight < 0;
  const size = Math.abs(part.weight);
  const sizes = WEIGHTS.includes(size) ? WEIGHTS : [...WEIGHTS, size];
  return html`<span class=${away ? "chip away" : "chip"} role="listitem">
    ${part.file && html`<${Preview} file=${part.file} />`}
    <button type="button" aria-pressed=${String(away)} title=${away ? "Results are unlike this" : "Results are like this"}
      onClick=${() => change({ ...part, weight: -part.weight })}>${away ? "unlike " : "like "}<span class="name">${name}</span></button>
    <select aria-label=${`Weight of ${name}`} title="Weight" value=${size} onChange=${(event) => change({ ...part, weight: (away ? -1 : 1) * Number(event.target.value) })}>
      ${sizes.map((one) => html`<option value=${one}>×${one}</option>`)}</select>
    <button type="button" class="remove" aria-label=${`Remove ${name}`} onClick=${() => change(null)}><${Icon} name="close" /></button>
  </span>`;
}

// A recording becomes a part of the question.
function Microphone({ add, say }) {
  const [recorder, set] = useState(null);
  const [seconds, tick] = useState(0);
  useEffect(() => {
    if (!recorder) return undefined;
    const timer = setInterval(() => tick((one) => one + 1), 1000);
    return () => clearInterval(timer);
  }, [recorder]);
  useEffect(() => { if (seconds >= MOST_SECONDS) void stop(); }, [seconds]);
  const stop = async () => {
    set(null);
    try {
      add([await recorder.stop()]);
    } catch (error) {
      say(`The recording failed: ${error.message}`);
    }
  };
  const start = async () => {
    tick(0);
    try {
      set(await recording());
    } catch (error) {
      say(error.name === "NotAllowedError" ? "The browser does not allow this page to use the microphone." : `The microphone cannot be used: ${error.message}`);
    }
  };
  const name = recorder ? "Stop recording and search" : "Record a sound to search by";
  return html`<button type="button" id="record" class=${recorder ? "quiet round live" : "quiet round"} aria-label=${name} title=${name} aria-pressed=${String(Boolean(recorder))} onClick=${recorder ? stop : start}>
    <${Icon} name=${recorder ? "stop" : "microphone"} />${recorder && html`<span class="count" role="timer">${seconds} s</span>`}</button>`;
}

function marked(message) {
  return message.split("\n").find((line) => /^ +\^+ *$/.test(line))?.trim() ?? "";
}

// An error of the question's language, under its character.
function Fault({ fault }) {
  const lines = fault?.message.split("\n") ?? [];
  const at = lines.findIndex((one) => /^ +\^+ *$/.test(one));
  const line = at > 0 ? lines[at - 1] : null;
  const start = at > 0 ? lines[at].indexOf("^") : 0;
  const end = at > 0 ? lines[at].trimEnd().length : 0;
  const allowed = lines.find((text) => text.startsWith("allowed: "));
  return html`<div id="fault" role="alert">${fault && html`
    ${line !== null && html`<pre aria-hidden="true">${line.slice(2, start)}<u>${line.slice(start, end) || "\u00a0"}</u>${line.slice(end)}</pre>`}
    <p>${sentence(lines[0])}</p>
    ${allowed && html`<details><summary>What can be written</summary><p>${allowed.slice(9)}</p></details>`}`}</div>`;
}

const HELP = [
  ["muon decay", "words, and what they mean"],
  ["+muon -cosmic", "must contain, must not contain"],
  ['"mean life"', "this phrase"],
  ["sirene~", "this word or one spelt alike"],
  ["year:>=2015", "a condition on metadata"],
  ["title:*muon*", "part of a text"],
  ["-(cosmic rays)", "away from this meaning"],
];

export function Help() {
  const element = useRef();
  useEffect(() => {
    const away = (event) => { if (!element.current.contains(event.target)) element.current.open = false; };
    document.addEventListener("click", away);
    return () => document.removeEventListener("click", away);
  }, []);
  return html`<details class="help" id="help" ref=${element}><summary aria-label="How to ask">?</summary>
    <div class="card">
      <h2>How to ask</h2>
      <p>Words find passages, pictures and sounds alike. Drop or paste a picture or a sound to find what is like it.</p>
      <dl>${HELP.map(([example, meaning]) => html`<div key=${example}><dt>${example}</dt><dd>${meaning}</dd></div>`)}</dl>
      <p><kbd>/</kbd> question <kbd>↑</kbd> <kbd>↓</kbd> results <kbd>Enter</kbd> open <kbd>Space</kbd> play <kbd>Esc</kbd> close</p>
    </div></details>`;
}
