// The picture of a part in full: a file, a figure, a shot of a video, the page of a passage.

import { address } from "./api.js";
import { Icon } from "./icons.js";
import { Lightbox } from "./light.js";
import { useSource } from "./media.js";
import { html, useEffect, useState } from "./vendor/preact.js";
import { ratio } from "./words.js";

const SHOWN = /^image\/(png|jpeg|gif|webp|avif|bmp)$/;
const view = (id, what, width, more = "") => address(`v1/chunks/${id}/${what}?width=${width}${more}`);

// A picture that opens over the window when it is pressed.
function Opening({ large, name, children }) {
  const [open, set] = useState(false);
  return html`<button type="button" class="opening" aria-label=${`Enlarge: ${name}`} onClick=${() => set(true)}>${children}<span class="second"><${Icon} name="zoom" /></span></button>
    ${open && html`<${Lightbox} url=${large} name=${name} close=${() => set(false)} />`}`;
}

// A picture as its file has it, as the server draws it, or its thumbnail if both fail.
export function Large({ part }) {
  const file = SHOWN.test(part.media_type) ? part.media_url.split("#")[0] : null;
  const ways = [file, view(part.id, "picture", 1600), part.thumbnail_url].filter(Boolean);
  const [at, use] = useState(0);
  const [from, failed, fail] = useSource(ways[at]);
  useEffect(() => { if (failed && at + 1 < ways.length) use(at + 1); }, [failed]);
  if (failed && at + 1 === ways.length) return html`<p class="note">The picture cannot be shown. Its file may be missing.</p>`;
  const name = part.text || part.title;
  return html`<${Opening} large=${file && at === 0 ? file : at + 1 === ways.length ? ways[at] : view(part.id, "picture", 2400)} name=${name}>
    <img class="large" src=${from} alt=${name} style=${{ "--ratio": ratio(part.detail) }} onError=${fail} /></${Opening}>`;
}

export function Video({ part }) {
  const { start_s: start, end_s: end } = part.span;
  const [from, failed, fail] = useSource(start === null || end === null ? part.media_url : `${part.media_url}#t=${start}`);
  if (failed) {
    return html`<p class="note">Your browser does not play this video, or its file is missing. This is the picture that matches.</p>
      ${part.modality === "image" && html`<${Large} part=${part} />`}`;
  }
  return html`<video controls preload="metadata" src=${from} aria-label=${part.title} onError=${() => from && fail()} style=${{ "--ratio": ratio(part.detail) }}></video>`;
}

// The page of a passage or a figure, with its boxes marked, and its neighbours.
export function PageView({ part, pages }) {
  const [page, turn] = useState(part.span.page);
  const [shape, keep] = useState(210 / 297);
  const [from, failed, fail] = useSource(view(part.id, "page", 1000, `&page=${page}`));
  useEffect(() => turn(part.span.page), [part.id]);
  const loaded = ({ currentTarget: image }) => keep(image.naturalWidth / image.naturalHeight || shape);
  const marked = [part.span.page, ...part.span.regions.map((one) => one.page)];
  return html`<section class="page" aria-label="Page">
    <h3>Page ${page}${pages > 1 ? ` of ${pages}` : ""}${marked.includes(page) ? "" : ", without a match"}</h3>
    ${failed
      ? html`<p class="note">This page cannot be drawn. The file may be missing or changed.</p>`
      : html`<${Opening} large=${view(part.id, "page", 2400, `&page=${page}`)} name=${`Page ${page} of ${part.title}`}>
          <img class="sheet" src=${from} alt=${`Page ${page}`} loading="lazy" style=${{ "--ratio": shape }} onLoad=${loaded} onError=${fail} /></${Opening}>`}
    ${pages > 1 && html`<p class="acts">
      <button type="button" disabled=${page <= 1} onClick=${() => turn(page - 1)}>Previous page</button>
      <button type="button" disabled=${page >= pages} onClick=${() => turn(page + 1)}>Next page</button></p>`}
  </section>`;
}
