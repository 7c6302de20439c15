// Show hits: passages, a justified grid of pictures, and sounds.

import { address, blob, key } from "./api.js";
import { Icon } from "./icons.js";
import { Player, Thumbnail } from "./media.js";
import { like, Show } from "./navigation.js";
import { html } from "./vendor/preact.js";
import { Why } from "./why.js";
import { place, ratio, snippet, value } from "./words.js";

const MOST_FACTS = 3;

// Hits in their order. Pictures that follow each other are a grid.
export function Hits({ hits }) {
  const groups = [];
  for (const hit of hits) {
    const last = groups.at(-1);
    if (hit.modality === "image" && last?.[0].modality === "image") last.push(hit);
    else groups.push([hit]);
  }
  return groups.map((group) => (group.length > 1
    ? html`<div class="grid" key=${group[0].id}>${group.map((hit) => html`<${Tile} key=${hit.id} hit=${hit} />`)}</div>`
    : html`<${Row} key=${group[0].id} hit=${group[0]} />`));
}

const label = (hit) => [hit.label, hit.text_preview || hit.title].filter(Boolean).join(": ");
const where = (hit) => (hit.gone ? `${hit.source} (file is missing)` : hit.source);

function Tile({ hit }) {
  return html`<article class="hit tile" data-id=${hit.id} style=${{ "--ratio": ratio(hit.detail) }}>
    <${Show} id=${hit.id} class="open" aria-label=${label(hit)}>
      <span class="frame"><${Thumbnail} url=${hit.thumbnail_url} /></span>
    </${Show}>
    <p class="caption">${hit.label && !hit.text_preview?.startsWith(hit.label) && html`<b>${hit.label} </b>`}${hit.snippet ? snippet(hit.snippet) : hit.title}</p>
    <p class="where">${[where(hit), place({ ...hit, label: "" })].filter(Boolean).join(" · ")}</p>
    <${More} hit=${hit} />
  </article>`;
}

function Row({ hit }) {
  const at = place(hit);
  return html`<article class=${`hit row ${hit.modality}`} data-id=${hit.id}>
    ${hit.modality === "image"
      ? html`<${Show} id=${hit.id} class="side" tabindex="-1" aria-hidden="true"><${Thumbnail} url=${hit.thumbnail_url} /></${Show}>`
      : html`<span class="side"><${Icon} name=${hit.modality} /></span>`}
    <div class="body">
      <h2><${Show} id=${hit.id} class="open">${hit.title || hit.source}</${Show}></h2>
      ${at && html`<p class="place">${at}</p>`}
      ${hit.snippet && html`<p class="snippet">${snippet(hit.snippet)}</p>`}
      ${hit.modality === "audio" && html`<${Player} url=${hit.media_url} name=${hit.title || hit.source} />`}
      <${Links} hit=${hit} />
      <p class="where">${[where(hit), ...facts(hit.metadata)].join(" · ")}</p>
      <${More} hit=${hit} />
    </div>
  </article>`;
}

const facts = (metadata) =>
  Object.values(metadata).filter((one) => value(one) && value(one).length < 40).slice(0, MOST_FACTS).map(value);

const unique = (ones, name) => [...new Map(ones.map((one) => [name(one), one])).values()].slice(0, 6);

function Links({ hit }) {
  const line = (text, ones) => ones.length > 0 && html`<p class="links">${text} ${ones.map(([id, name]) =>
    html`<${Show} key=${id} id=${id}>${name}</${Show}>`)}</p>`;
  const linked = (kind) => unique(hit.links.filter((one) => one.kind === kind), (one) => one.label)
    .map((one) => [one.id, one.label || "passage"]);
  const here = place({ ...hit, label: "" });
  const also = unique(hit.moments.map((one) => [one.id, place({ ...one, label: "" })]), (one) => one[1])
    .filter(([, name]) => name && name !== here);
  const copies = (hit.places ?? []).map((one) => one.source);
  return html`${line("Cites", linked("cites"))}${line("Cited on", linked("cited_by"))}${line("Also", also)}
    ${copies.length > 0 && html`<p class="where">Same content: ${copies.slice(0, 5).join(", ")}</p>`}`;
}

function More({ hit }) {
  return html`<div class="more">
    <button type="button" class="quiet" onClick=${() => like(hit.id)}>More like this</button>
    ${hit.span.page && /\.pdf$/i.test(hit.source) && html`<${FileLink} id=${hit.id} name=${hit.source} page=${hit.span.page} class="quiet">Open page ${hit.span.page}</${FileLink}>`}
    <${Why} hit=${hit} />
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
