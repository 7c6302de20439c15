// A dialog with one part of a document, what is around it, its links and its metadata.

import { column, literal, read } from "./address.js";
import { getWhole } from "./api.js";
import { Edit, Remove } from "./edit.js";
import { Icon } from "./icons.js";
import { Thumbnail } from "./media.js";
import { leave, like, Link, neighbour, Show } from "./navigation.js";
import { Large, PageView, Video } from "./pictures.js";
import { FileLink } from "./results.js";
import { Player } from "./sound.js";
import { Refusal } from "./states.js";
import { html, useEffect, useLayoutEffect, useRef, useState } from "./vendor/preact.js";
import { bytes, clock, count, date, isLabelled, kindCount, paragraphs, place, ratio, value } from "./words.js";

const MOST_PICTURES = 12;
const MOST_MOMENTS = 40;
const known = new Map();

function fetched(id) {
  if (!known.has(id)) {
    if (known.size > 20) known.clear();
    known.set(id, getWhole(`v1/documents/${id}`));
    known.get(id).catch(() => known.delete(id));
  }
  return known.get(id);
}

// Forget what was read of documents, after a change.
export const forget = () => known.clear();

export function Detail({ id }) {
  const [state, set] = useState({});
  const dialog = useRef();
  const load = (anew = false) => {
    let current = true;
    if (anew) forget();
    fetched(id.split(":")[0]).then(
      ({ body, ...rest }) => current && set({ found: body, ...rest, id }),
      // An address may hold an id that never was one.
      (problem) => current && set({ problem: problem.status === 422 ? { status: 404, message: `There is no document ${id}.` } : problem, id }),
    );
    return () => { current = false; };
  };
  useEffect(() => load(), [id]);
  useLayoutEffect(() => {
    const element = dialog.current;
    if (!element.open) element.showModal();
    return () => element.close();
  }, []);
  useLayoutEffect(() => {
    dialog.current.scrollTop = 0;
    dialog.current.querySelector("h2")?.focus();
  }, [state.id]);
  const cancel = (event) => { event.preventDefault(); leave(); };
  const outside = (event) => event.target === dialog.current && leave();
  return html`<dialog id="detail" ref=${dialog} aria-labelledby="detail-title" onCancel=${cancel} onClick=${outside}>
    ${state.found && html`<${Document} found=${state.found} tag=${state.tag} allows=${state.allows} id=${state.id} again=${() => load(true)} />`}
    ${state.problem && html`<div class="parts refused"><${Refusal} problem=${state.problem} again=${() => load(true)} />
      <button type="button" onClick=${leave}>Close</button></div>`}
  </dialog>`;
}

function Document({ found, tag, allows, id, again }) {
  const { parts } = found;
  const part = parts.find((one) => one.id === id) ?? parts[0];
  const at = part && place(part);
  return html`<header>
      <div><h2 id="detail-title" tabindex="-1">${found.title || found.source}</h2>${at && html`<p class="place">${at}</p>`}</div>
      <span class="tools">
        <button type="button" class="quiet round" aria-label="Previous result" title="Previous result (left arrow)" onClick=${() => neighbour(-1)}><${Icon} name="back" /></button>
        <button type="button" class="quiet round" aria-label="Next result" title="Next result (right arrow)" onClick=${() => neighbour(1)}><${Icon} name="next" /></button>
        <button type="button" class="quiet round" aria-label="Close" onClick=${leave}><${Icon} name="close" /></button></span>
    </header>
    <div class="parts">
      ${found.error && html`<p class="note">This file could not be read: ${found.error}</p>`}
      ${part && html`<${Medium} key=${part.id} part=${part} />`}
      ${part && (part.modality === "text" ? html`<${Context} parts=${parts} part=${part} />` : html`<${Caption} part=${part} />`)}
      ${part?.modality === "audio" && html`<${Moments} parts=${parts} part=${part} />`}
      ${part && html`<${Cites} parts=${parts} part=${part} />`}
      ${part?.span.page && found.media_type === "application/pdf" && html`<${PageView} part=${part} pages=${pagesOf(found)} />`}
      <${Pictures} parts=${parts} part=${part} />
    </div>
    <${About} key=${found.id} found=${found} part=${part} tag=${tag} may=${(method) => allows.includes(method)} again=${again} />`;
}

function Medium({ part }) {
  if (part.modality === "audio" && part.media_type.startsWith("audio/")) return html`<${Player} part=${part} />`;
  if (part.media_type.startsWith("video/")) return html`<${Video} part=${part} />`;
  return part.modality === "image" ? html`<${Large} part=${part} />` : null;
}

const pagesOf = (found) => Math.max(1, Number(found.metadata.pages) || 0, ...found.parts.map((one) => one.span.page ?? 1));

// The other parts of a recording, by their seconds.
function Moments({ parts, part }) {
  const others = parts.filter((one) => one.modality === "audio");
  return others.length > 1 && html`<p class="links">Parts ${others.slice(0, MOST_MOMENTS).map((one) => html`
    <${Show} key=${one.id} id=${one.id} replace aria-current=${one === part ? "true" : null}>${clock(one.span.start_s ?? 0)}</${Show}>`)}${others.length > MOST_MOMENTS ? ` and ${others.length - MOST_MOMENTS} more` : ""}</p>`;
}

const Passage = ({ text }) => paragraphs(text).map((one) => html`<p class="passage">${one}</p>`);

// A passage between its neighbours.
function Context({ parts, part }) {
  const texts = parts.filter((one) => one.modality === "text");
  const at = texts.indexOf(part);
  return html`<section class="context" aria-label="Passage">
    <${Near} part=${texts[at - 1]} name="Before" />
    <div class="this"><${Passage} text=${part.text} /></div>
    <${Near} part=${texts[at + 1]} name="After" />
  </section>`;
}

function Near({ part, name }) {
  if (!part) return null;
  return html`<div class="near">
    <${Show} id=${part.id} replace>${[name, place(part)].filter(Boolean).join(" · ")}</${Show}>
    <p>${paragraphs(part.text).join("\n")}</p>
  </div>`;
}

function Caption({ part }) {
  return html`${part.text && html`<p class="passage">${part.label && !isLabelled(part.text, part.label) && html`<b>${part.label} </b>`}${part.text}</p>`}
    ${part.words && html`<details class="note"><summary>Text in the picture</summary><p>${part.words}</p></details>`}
    <p class="where">${part.detail}</p>`;
}

function linked(parts, part, kind) {
  const ids = new Set(part.links.filter((one) => one.kind === kind).map((one) => one.id));
  return parts.filter((one) => ids.has(one.id));
}

function Cites({ parts, part }) {
  const cited = linked(parts, part, "cites");
  const citing = linked(parts, part, "cited_by");
  const images = cited.filter((one) => one.modality === "image");
  const texts = [...cited.filter((one) => one.modality !== "image"), ...citing];
  return html`${images.length > 0 && html`<section><h3>Figures that this passage cites</h3><${Tiles} parts=${images} /></section>`}
    ${texts.length > 0 && html`<section><h3>${citing.length ? "Passages that cite it" : "Tables that it cites"}</h3>
      ${texts.map((one) => html`<${Near} key=${one.id} part=${one} name="" />`)}</section>`}`;
}

function Pictures({ parts, part }) {
  const ids = new Set(part?.links.map((one) => one.id));
  const others = parts.filter((one) => one.modality === "image" && one !== part && !ids.has(one.id));
  return others.length > 0 && html`<section><h3>Other pictures of this document</h3><${Tiles} parts=${others.slice(0, MOST_PICTURES)} /></section>`;
}

const Tiles = ({ parts }) => html`<div class="grid small">${parts.map((one) => html`
  <div class="tile" key=${one.id} style=${{ "--ratio": ratio(one.detail) }}>
    <${Show} id=${one.id} replace aria-label=${one.label || one.text || one.title}><span class="frame"><${Thumbnail} url=${one.thumbnail_url} /></span></${Show}>
    <p class="caption">${one.label && !isLabelled(one.text, one.label) && html`<b>${one.label} </b>`}${one.text}</p>
  </div>`)}</div>`;

const Fact = ({ name, children }) => html`<div><dt>${name}</dt><dd>${children}</dd></div>`;

function About({ found, part, tag, may, again }) {
  const [editing, edit] = useState(false);
  const caption = part && part.modality !== "text" && /^(image|audio|video)\//.test(found.media_type) ? part.text : undefined;
  const done = () => { edit(false); again(); };
  const removed = () => { forget(); leave(); };
  const kinds = ["text", "image", "audio"].map((kind) => [kind, found.parts.filter((one) => one.modality === kind).length]);
  const page = found.media_type === "application/pdf" ? part?.span.page : null;
  const copies = found.places ?? [];
  return html`<aside aria-label="About this document">
    ${part && html`<p class="acts">
      <button type="button" onClick=${() => like(part.id)}>More like this</button>
      <${FileLink} id=${part.id} name=${found.source} page=${page} class="button">${page ? `Open page ${page}` : "Open the file"}</${FileLink}>
    </p>`}
    ${editing && html`<${Edit} found=${found} caption=${caption} tag=${tag} done=${done} close=${() => edit(false)} />`}
    ${found.gone && html`<p class="note">The file is missing on the server by now.</p>`}
    <dl>
      ${!editing && Object.entries(found.metadata).map(([name, one]) => html`<${Fact} key=${name} name=${name}><${Values} name=${name} given=${one} /></${Fact}>`)}
      <${Fact} name="file">${found.source}</${Fact}>
      ${copies.length > 0 && html`<${Fact} name="same content">${copies.map((one) => one.source).join(", ")}</${Fact}>`}
      <${Fact} name="type">${found.media_type}, ${bytes(found.size_bytes)}</${Fact}>
      <${Fact} name="parts">${kinds.filter(([, number]) => number).map(([kind, number]) => kindCount(kind, number)).join(", ") || count(0, "part")}</${Fact}>
      <${Fact} name="added">${date(found.added_at)}</${Fact}>
    </dl>
    ${found.notices.map((text) => html`<p class="note">${text}</p>`)}
    ${may("PATCH") && !editing && html`<p><button type="button" onClick=${() => edit(true)}>Edit title and metadata</button></p>`}
    ${may("DELETE") && html`<${Remove} found=${found} done=${removed} />`}
  </aside>`;
}

// Values, each a link to the documents that have it.
function Values({ name, given }) {
  const filter = (one) => ({ ...read(), q: "", parts: [], show: "", view: "", where: [`${column(name)} = ${literal(one)}`] });
  const simple = (one) => ["string", "number", "boolean"].includes(typeof one) && String(one).length < 200;
  return [given].flat().map((one, index) => [
    index ? ", " : "",
    simple(one) ? html`<${Link} to=${filter(one)}>${value(one)}</${Link}>` : value(one),
  ]);
}
