// Show hits: passages with their pages, a justified grid of pictures, and sounds.

import { address, blob, key } from "./api.js";
import { Grid } from "./grid.js";
import { Icon } from "./icons.js";
import { Thumbnail } from "./media.js";
import { like, Show } from "./navigation.js";
import { Player } from "./sound.js";
import { html, useEffect, useMemo, useRef } from "./vendor/preact.js";
import { Why } from "./why.js";
import { isLabelled, place, ratio, snippet, value } from "./words.js";

const MOST_FACTS = 3;
const MOST_PASSAGES = 3;
const AHEAD = "2400px";

// Return hits as cards: {hit, others} for a document's passages, or {pictures} that follow each
// other. The other passages of a document are in the card of its best one.
function grouped(hits) {
  const groups = [];
  const byDocument = new Map();
  for (const hit of hits) {
    const last = groups.at(-1);
    const first = byDocument.get(hit.document_id);
    if (hit.modality === "image" && last?.pictures) last.pictures.push(hit);
    else if (hit.modality === "image") groups.push({ id: hit.id, pictures: [hit] });
    else if (hit.modality === "text" && first) first.others.push(hit);
    else {
      groups.push({ id: hit.id, hit, others: [] });
      if (hit.modality === "text") byDocument.set(hit.document_id, groups.at(-1));
    }
  }
  return groups;
}

const tile = (hit) => html`<${Tile} key=${hit.id} hit=${hit} />`;

// Hits in their order. With `open`, more are to come.
export function Hits({ hits, open }) {
  return useMemo(() => {
    const groups = grouped(hits);
    return groups.map(({ id, hit, others, pictures }, at) => {
      if (!pictures) return html`<${Row} key=${id} hit=${hit} others=${others} />`;
      if (pictures.length === 1 && !(open && groups.length === 1)) return html`<${Row} key=${id} hit=${pictures[0]} others=${[]} />`;
      return html`<${Grid} key=${id} pictures=${pictures} open=${open && at === groups.length - 1} tile=${tile} />`;
    });
  }, [hits, open]);
}

// What asks for the next page when the end of the list comes near. It shows nothing, since it
// moves with each page, unless the page cannot be loaded.
export function Further({ more, busy, failed }) {
  const end = useRef();
  const latest = useRef();
  latest.current = () => !busy && !failed && more(false);
  useEffect(() => {
    const watcher = new IntersectionObserver((entries) => {
      if (entries.some((one) => one.isIntersecting)) latest.current();
    }, { rootMargin: AHEAD });
    watcher.observe(end.current);
    return () => watcher.disconnect();
  }, []);
  return html`<div class="further" ref=${end}>${failed && html`<p class="rest" role="alert">${failed.message}
    <button type="button" onClick=${() => more(true)}>Try again</button></p>`}</div>`;
}

const label = (hit) => [hit.label, hit.text_preview || hit.title].filter(Boolean).join(": ");
const where = (hit) => (hit.library ? `${hit.library}: ${hit.source}` : hit.source);
const Gone = ({ hit }) => hit.gone && html`<p class="gone">The file is missing on the server by now.</p>`;

function Tile({ hit }) {
  return html`<article class="hit tile" data-id=${hit.id} style=${{ "--ratio": ratio(hit.detail) }}>
    <${Show} id=${hit.id} class="open" aria-label=${label(hit)}>
      <span class="frame"><${Thumbnail} url=${hit.thumbnail_url} /><${Second} span=${hit.span} /></span>
    </${Show}>
    <p class="caption">${hit.label && !isLabelled(hit.text_preview, hit.label) && html`<b>${hit.label} </b>`}${hit.snippet ? snippet(hit.snippet) : hit.title}</p>
    <p class="where">${[where(hit), place({ ...hit, label: "" })].filter(Boolean).join(" · ")}</p>
    <${Gone} hit=${hit} />
    <${Same} hit=${hit} />
    <${More} hit=${hit} small />
  </article>`;
}

// The second of a shot of a video, on its picture.
const Second = ({ span }) => span.start_s !== null && span.start_s !== undefined
  && html`<span class="second"><${Icon} name="play" /></span>`;

const isPdf = (hit) => /\.pdf$/i.test(hit.source);

function Side({ hit }) {
  const icon = html`<${Icon} name=${hit.modality} />`;
  const url = hit.modality === "image" ? hit.thumbnail_url : address(`v1/chunks/${hit.id}/page?width=240`);
  if (hit.modality !== "image" && !(hit.span.page && isPdf(hit))) return html`<span class="side">${icon}</span>`;
  return html`<${Show} id=${hit.id} class="side" tabindex="-1" aria-hidden="true"><${Thumbnail} url=${url} instead=${icon} /><${Second} span=${hit.modality === "image" ? hit.span : {}} /></${Show}>`;
}

const headings = (hit) => [hit.title, hit.span.section];

function Row({ hit, others }) {
  const at = place(hit);
  const paged = hit.modality === "text" && hit.span.page && isPdf(hit);
  const sounds = hit.modality === "audio" ? hit.moments.filter((one) => one.modality === "audio") : [];
  return html`<article class=${`hit row ${hit.modality}${paged ? " paged" : ""}`} data-id=${hit.id}>
    <${Side} hit=${hit} />
    <div class="body">
      <h2><${Show} id=${hit.id} class="open">${hit.title || hit.source}</${Show}></h2>
      ${at && html`<p class="place">${at}</p>`}
      ${hit.snippet && html`<p class="snippet">${snippet(hit.snippet, headings(hit))}</p>`}
      ${hit.modality === "audio" && html`<${Player} part=${hit} moments=${sounds} />`}
      <${Passages} hit=${hit} others=${others} />
      <${Links} hit=${hit} />
      <${Gone} hit=${hit} />
      <p class="where">${[where(hit), ...facts(hit.metadata)].join(" · ")}</p>
      <${Same} hit=${hit} />
      <${More} hit=${hit} />
    </div>
  </article>`;
}

const facts = (metadata) =>
  Object.values(metadata).filter((one) => value(one) && value(one).length < 40).slice(0, MOST_FACTS).map(value);

const unique = (ones, name) => [...new Map(ones.map((one) => [name(one), one])).values()];

const plain = (text) => (text ?? "").replace(/<\/?mark>|…/g, "").trim();

// Passages overlap. Leave out those whose words are all in another one, but not the first.
const unrepeated = (ones) => ones.filter((one, at) => !at || !one.snippet || !ones.some((other, index) => {
  const [inner, outer] = [plain(one.snippet), plain(other.snippet)];
  return index !== at && outer.includes(inner) && (outer !== inner || index < at);
}));

// The other matching passages and pictures of a hit's document, with their places.
function Passages({ hit, others }) {
  const moments = hit.modality === "audio" ? hit.moments.filter((one) => one.modality !== "audio") : hit.moments;
  const found = unrepeated(unique([hit, ...others, ...moments], (one) => one.id)).slice(1);
  if (!found.length) return null;
  const named = (one) => place(one) || { text: "passage", image: "picture", audio: "sound" }[one.modality];
  const [shown, rest] = [found.slice(0, MOST_PASSAGES), found.slice(MOST_PASSAGES)];
  return html`<ul class="passages" aria-label="More of this document">${shown.map((one) => html`<li key=${one.id}>
      <${Show} id=${one.id}>${named(one)}</${Show}> ${one.snippet && html`<span>${snippet(one.snippet, headings(one))}</span>`}</li>`)}
    ${rest.length > 0 && html`<li>${rest.map((one, at) => [at ? " · " : "", html`<${Show} id=${one.id}>${named(one)}</${Show}>`])}</li>`}</ul>`;
}

function Links({ hit }) {
  const line = (text, kind) => {
    const ones = unique(hit.links.filter((one) => one.kind === kind), (one) => one.label).slice(0, 6);
    return ones.length > 0 && html`<p class="links">${text} ${ones.map((one) => html`<${Show} key=${one.id} id=${one.id}>${one.label || "passage"}</${Show}>`)}</p>`;
  };
  return html`${line("Cites", "cites")}${line("Cited on", "cited_by")}`;
}

// Copies, and what nearly repeats a hit or is repeated by it.
function Same({ hit }) {
  const copies = (hit.places ?? []).map((one) => one.source).slice(0, 5);
  const near = (hit.duplicates ?? []).slice(0, 5);
  return html`${copies.length > 0 && html`<p class="where">Same content: ${copies.join(", ")}</p>`}
    ${near.length > 0 && html`<p class="where">Nearly the same: ${near.map((one, at) => [at ? ", " : "", html`<${Show} id=${one.id}>${one.source}</${Show}>`])}</p>`}
    ${hit.duplicate_of && html`<p class="where">Nearly the same as <${Show} id=${hit.duplicate_of}>a result above</${Show}></p>`}`;
}

// `small` is for a tile, whose height is known before it is shown.
function More({ hit, small }) {
  return html`<div class="more">
    <${Why} hit=${hit} />
    <button type="button" class="quiet" onClick=${() => like(hit.id)}>More like this</button>
    ${!small && hit.span.page && isPdf(hit) && html`<${FileLink} id=${hit.id} name=${hit.source} page=${hit.span.page} class="quiet">Open page ${hit.span.page}</${FileLink}>`}
  </div>`;
}

// A link to the file of a chunk. A link cannot send a key: with one, the file is fetched and
// saved. It is not opened here, where it could run as a part of this page.
export function FileLink({ id, name, page, children, ...rest }) {
  const url = `${address(`v1/chunks/${id}/media`)}${page ? `#page=${page}` : ""}`;
  const save = async (event) => {
    if (!key()) return;
    event.preventDefault();
    const anchor = document.createElement("a");
    anchor.href = await blob(url.split("#")[0]);
    anchor.download = name;
    anchor.click();
  };
  return html`<a href=${url} target="_blank" rel="noopener" onClick=${save} ...${rest}>${children}</a>`;
}
