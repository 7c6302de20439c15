// The page without a question: example questions and the newest documents.

import { AddButton, Empty } from "./adding.js";
import { address, get } from "./api.js";
import { Icon } from "./icons.js";
import { Thumbnail } from "./media.js";
import { Link, Show } from "./navigation.js";
import { Refusal } from "./states.js";
import { html, useEffect, useRef, useState } from "./vendor/preact.js";

const PAGE = 24;

export const kindOf = (type) =>
  (type.startsWith("image/") || type.startsWith("video/") ? "image" : type.startsWith("audio/") ? "audio" : "text");

const newest = (offset) => get("v1/documents", { failed: false, sort: "-added_at", limit: PAGE, offset });

// A title as words of a question: without the signs of the question's language.
const plain = (title) => title.replace(/[^\p{L}\p{N}\s,'-]/gu, " ").replace(/\s+-/g, " ").replace(/\s+/g, " ").trim();

export function Home({ refresh, stats }) {
  const [state, set] = useState({ documents: [], next: 0 });
  const more = async (before = state) => {
    set({ ...state, busy: true });
    try {
      const page = await newest(before.next);
      set({ documents: [...before.documents, ...page.documents], next: page.next_offset, loaded: true });
    } catch (problem) {
      set({ ...state, problem });
    }
  };
  useEffect(() => void more(), []);
  // The list begins again once the library has changed.
  const version = stats?.version;
  const known = useRef(version);
  useEffect(() => {
    if (known.current !== undefined && known.current !== version) void more({ documents: [], next: 0 });
    known.current = version;
  }, [version]);
  const again = () => {
    void refresh();
    void more();
  };
  if (state.problem) return html`<${Refusal} problem=${state.problem} again=${again} />`;
  if (state.loaded && !state.documents.length) {
    return html`<${Empty} several=${stats?.several}><${AddButton} /></${Empty}>`;
  }
  const examples = state.documents.filter((one) => one.title && one.title.length < 60 && kindOf(one.media_type) !== "text").slice(0, 4);
  return html`
    ${examples.length > 0 && html`<p class="examples">Try ${examples.map((one) => html`<${Link} key=${one.id} to=${{ q: plain(one.title) }}>${plain(one.title).toLowerCase()}</${Link}>`)}</p>`}
    ${state.documents.length > 0 && html`<div class="above"><h2>Newest</h2>${!stats?.several && html`<${AddButton} class="" />`}</div>`}
    <div class="cards">${state.documents.map((one) => html`<${Card} key=${one.id} found=${one} />`)}</div>
    ${state.next !== null && state.loaded && html`<button type="button" class="next" disabled=${state.busy} onClick=${() => more()}>Older documents</button>`}`;
}

export function Card({ found }) {
  const kind = kindOf(found.media_type);
  return html`<article class="hit card">
    <${Show} id=${found.id} class="open">
      <span class=${`face ${kind}`}>${kind === "image" ? html`<${Thumbnail} url=${address(`v1/chunks/${found.id}:0/thumbnail`)} />` : html`<${Icon} name=${kind} />`}</span>
      <span class="title">${found.title || found.source}</span>
    </${Show}>
    <p class="where">${found.source}</p>
  </article>`;
}
