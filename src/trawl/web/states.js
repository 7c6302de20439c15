// What the page shows instead of results: loading, nothing found, refusals, the key.

import { alive, key, keepKey } from "./api.js";
import { html, useEffect, useLayoutEffect, useRef, useState } from "./vendor/preact.js";
import { sentence } from "./words.js";

export const Skeleton = ({ grid }) => html`<div class=${grid ? "grid waiting" : "waiting"} aria-hidden="true">
  ${Array.from({ length: grid ? 8 : 4 }, (_, at) => (grid
    ? html`<div class="tile" key=${at}><span class="frame"></span></div>`
    : html`<div class="hit row" key=${at}><span class="side"></span><div class="body"><i></i><i></i><i></i></div></div>`))}
</div>`;

export const State = ({ title, children }) => html`<section class="state"><h2>${title}</h2>${children}</section>`;

const Again = ({ again, text = "Try again" }) => html`<button type="button" onClick=${again}>${text}</button>`;

// The state for a problem. `again` repeats what failed, by itself where that can help.
export function Refusal({ problem, again }) {
  const { status, retryS, message } = problem;
  const id = problem.id && status >= 500 && html`<p class="where">Request ${problem.id}</p>`;
  if (status === 401) return html`<${KeyPrompt} again=${again} />`;
  if (status === 403) return html`<${KeyPrompt} again=${again} title="This key may not do that" text=${message} />`;
  if (status === 0) return html`<${Offline} again=${again} />`;
  if (status === 429) return html`<${Waiting} title="Too many questions" text="This server limits how many questions it takes." seconds=${retryS ?? 10} again=${again} />`;
  if (status === 503 && retryS) return html`<${Waiting} title="The server is busy" text=${message} seconds=${retryS} again=${again} />`;
  const titles = { 422: "This question cannot be answered", 503: "The library cannot be searched now", 413: "This file is too large", 415: "This file cannot be read", 404: "This is no longer in the library" };
  const title = titles[status] ?? (status >= 500 ? "Something went wrong" : status ? "The server did not accept this" : "The page made an error");
  return html`<${State} title=${title}><p>${sentence(message)}</p>${id}${!(status >= 400 && status < 500) && html`<${Again} again=${again} />`}</${State}>`;
}

function Waiting({ title, text, seconds, again }) {
  const [left, set] = useState(Math.min(seconds, 3600));
  useEffect(() => {
    const timer = left > 0 ? setTimeout(() => set(left - 1), 1000) : void again();
    return () => clearTimeout(timer);
  }, [left]);
  return html`<${State} title=${title}><p>${text}</p><p class="countdown">Trying again in ${left} s.</p><${Again} again=${again} text="Try now" /></${State}>`;
}

function Offline({ again }) {
  useEffect(() => {
    const timer = setInterval(async () => {
      if (await alive()) again();
    }, 2000);
    return () => clearInterval(timer);
  }, []);
  return html`<${State} title="The server does not answer"><p>This page tries again by itself, and goes on once the server is back.</p><${Again} again=${again} text="Try now" /></${State}>`;
}

// Ask for a key, keep it for this session, and go on.
function KeyPrompt({ again, title = "This library needs a key", text }) {
  const [asking, ask] = useState(true);
  const [refused] = useState(key() !== null);
  useEffect(() => { if (!text) keepKey(null); }, []);
  return html`<${State} title=${title}>${text && html`<p>${text}</p>`}
    <button type="button" onClick=${() => ask(true)}>${text ? "Use another key" : "Enter a key"}</button>
    ${asking && html`<${KeyDialog} refused=${refused && !text} again=${again} close=${() => ask(false)} />`}
  </${State}>`;
}

function KeyDialog({ refused, again, close }) {
  const dialog = useRef();
  const field = useRef();
  useLayoutEffect(() => {
    dialog.current.showModal();
    field.current.focus();
  }, []);
  const enter = (event) => {
    event.preventDefault();
    keepKey(field.current.value.trim());
    dialog.current.close();
    again();
  };
  return html`<dialog id="key" ref=${dialog} aria-labelledby="key-title" onClose=${close}>
    <form onSubmit=${enter}>
      <h2 id="key-title">This library needs a key</h2>
      <p id="key-note" class=${refused ? "bad" : ""} role=${refused ? "alert" : null}>${refused
        ? "The server does not accept this key. Check it and enter it again."
        : "Whoever runs the server gives out keys. It is kept until you close this tab."}</p>
      <label for="key-field">API key</label>
      <input type="password" id="key-field" ref=${field} autocomplete="off" required aria-describedby="key-note" />
      <button type="submit" class="go">Continue</button>
    </form>
  </dialog>`;
}
