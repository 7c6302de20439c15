// Show hits: passages, a justified grid of pictures, and sounds.

import { address, show } from "./api.js";
import { h, icon } from "./dom.js";
import { place, ratio, reasons, snippet, value } from "./words.js";

const MOST_FACTS = 3;

// Return elements for hits, in their order. `act` has `link(id)`, an address, and `like(hit)`.
export function list(hits, act) {
  const rows = [];
  for (let at = 0; at < hits.length; ) {
    let end = at;
    while (end < hits.length && hits[end].modality === "image") end += 1;
    if (end - at > 1) rows.push(h("div", { class: "grid" }, hits.slice(at, end).map((hit) => tile(hit, act))));
    else rows.push(row(hits[at], act));
    at = Math.max(end, at + 1);
  }
  return rows;
}

export function thumbnail(url, text) {
  const image = h("img", { alt: text, loading: "lazy", decoding: "async" });
  image.addEventListener("error", () => image.replaceWith(h("span", { class: "missing" }, "no preview")));
  return show(image, url);
}

function tile(hit, act) {
  const caption = hit.snippet ? snippet(hit.snippet) : hit.title;
  return h("article", { class: "hit tile", "data-id": hit.id, vars: { "--ratio": ratio(hit.detail) } },
    h("a", { class: "open", href: act.link(hit.id), "data-show": hit.id, "aria-label": label(hit) },
      h("span", { class: "frame" }, thumbnail(hit.thumbnail_url, ""))),
    h("p", { class: "caption" }, hit.label && h("b", {}, `${hit.label} `), caption),
    h("p", { class: "where" }, [where(hit), place({ ...hit, label: "" })].filter(Boolean).join(" · ")),
    more(hit, act));
}

const label = (hit) => [hit.label, hit.text_preview || hit.title].filter(Boolean).join(": ");
const where = (hit) => (hit.gone ? `${hit.source} (file is missing)` : hit.source);

function row(hit, act) {
  const at = place(hit);
  const figure = hit.modality === "image";
  return h("article", { class: `hit row ${hit.modality}`, "data-id": hit.id },
    figure
      ? h("a", { class: "side", href: act.link(hit.id), "data-show": hit.id, tabindex: "-1", "aria-hidden": "true" }, thumbnail(hit.thumbnail_url, ""))
      : h("span", { class: "side" }, icon(hit.modality)),
    h("div", { class: "body" },
      h("h2", {}, h("a", { class: "open", href: act.link(hit.id), "data-show": hit.id }, hit.title || hit.source)),
      at && h("p", { class: "place" }, at),
      hit.snippet && h("p", { class: "snippet" }, snippet(hit.snippet)),
      hit.modality === "audio" && player(hit),
      links(hit, act),
      moments(hit, act),
      h("p", { class: "where" }, [where(hit), ...facts(hit.metadata)].join(" · ")),
      more(hit, act)));
}

const facts = (metadata) =>
  Object.values(metadata).filter((one) => value(one) && value(one).length < 40).slice(0, MOST_FACTS).map(value);

// Return a player that starts at the hit's second, which its address has.
export function player(hit) {
  const audio = h("audio", { controls: true, preload: "metadata", "aria-label": `Play ${hit.title || hit.source}` });
  audio.addEventListener("error", () => audio.replaceWith(h("p", { class: "note" }, "This sound cannot be played here. Its file may be missing, or your browser may not know its format.")));
  return show(audio, hit.media_url);
}

function links(hit, act) {
  const cited = unique(hit.links.filter((one) => one.kind === "cites"));
  const citing = unique(hit.links.filter((one) => one.kind === "cited_by"));
  const named = (text, ones) =>
    ones.length > 0 && h("p", { class: "links" }, `${text} `, ones.map((one) => h("a", { href: act.link(one.id), "data-show": one.id }, one.label || "passage")));
  return [named("Cites", cited), named("Cited on", citing)];
}

function unique(ones) {
  return [...new Map(ones.map((one) => [one.label, one])).values()].slice(0, 6);
}

function moments(hit, act) {
  const others = hit.moments.filter((one) => place({ ...one, label: "" }));
  const copies = (hit.places ?? []).map((one) => one.source);
  return [
    others.length > 0 && h("p", { class: "links" }, "Also ", others.map((one) =>
      h("a", { href: act.link(one.id), "data-show": one.id }, place({ ...one, label: "" })))),
    copies.length > 0 && h("p", { class: "where" }, `Same content: ${copies.slice(0, 5).join(", ")}`),
  ];
}

function more(hit, act) {
  const why = h("dl", { class: "why" }, reasons(hit).map(([name, text]) => h("div", {}, h("dt", {}, name), h("dd", {}, text))));
  const file = fileLink(hit);
  return h("div", { class: "more" },
    h("button", { type: "button", class: "quiet", onclick: () => act.like(hit) }, "More like this"),
    file,
    h("details", {}, h("summary", {}, "Why here?"), why));
}

// Return a link to the file of a PDF at the hit's page, or null for other hits.
function fileLink(hit) {
  if (!hit.span.page || !/\.pdf$/i.test(hit.source)) return null;
  const url = `${address(`v1/chunks/${hit.id}/media`)}#page=${hit.span.page}`;
  return h("a", { class: "quiet", href: url, target: "_blank", rel: "noopener", "data-file": hit.source }, `Open page ${hit.span.page}`);
}
