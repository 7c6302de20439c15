// Show a document in a dialog: one part of it with what is around it, its links and its metadata.

import { address, get, show } from "./api.js";
import { $, h, icon } from "./dom.js";
import { player, thumbnail } from "./results.js";
import { bytes, count, date, kindCount, place, ratio, value } from "./words.js";

const SHOWN = /^image\/(png|jpeg|gif|webp|avif|bmp)$/;
const MOST_PICTURES = 12;
const dialog = $("detail");
const known = new Map();

async function document_(id) {
  if (!known.has(id)) {
    if (known.size > 20) known.clear();
    known.set(id, get(`v1/documents/${id}`));
    known.get(id).catch(() => known.delete(id));
  }
  return known.get(id);
}

export const forget = () => known.clear();

// Open the dialog at a chunk's id, or at a document's. `act` is that of `list`, with `filter`.
export async function open(id, act) {
  const found = await document_(id.split(":")[0]);
  const parts = found.parts;
  const part = parts.find((one) => one.id === id) ?? parts[0];
  const title = found.title || found.source;
  dialog.replaceChildren(
    h("header", {},
      h("div", {}, h("h2", { id: "detail-title", tabindex: "-1" }, title), part && place(part) && h("p", { class: "place" }, place(part))),
      h("button", { type: "button", class: "quiet round", "aria-label": "Close", onclick: act.close }, icon("close"))),
    h("div", { class: "parts" },
      found.error && h("p", { class: "note" }, `This file could not be read: ${found.error}`),
      part && medium(part),
      part && (part.modality === "text" ? context(parts, part, act) : figure(parts, part, act)),
      part && cites(parts, part, act),
      pictures(parts, part, act)),
    about(found, part, act));
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
  $("detail-title").focus();
}

export function close() {
  for (const playing of dialog.querySelectorAll("audio, video")) playing.pause();
  if (dialog.open) dialog.close();
}

function medium(part) {
  if (part.modality === "audio") return player({ ...part, media_url: segment(part) });
  if (part.media_type.startsWith("video/")) {
    return show(h("video", { controls: true, preload: "metadata" }), segment(part));
  }
  if (part.modality !== "image") return null;
  const image = h("img", { class: "large", alt: part.text || part.title, vars: { "--ratio": ratio(part.detail) } });
  const small = () => { if (!image.src.includes("thumbnail")) show(image, part.thumbnail_url); };
  image.addEventListener("error", small, { once: true });
  return show(image, SHOWN.test(part.media_type) ? part.media_url : part.thumbnail_url);
}

function segment(part) {
  const { start_s: start, end_s: end } = part.span;
  return start === null || end === null ? part.media_url : `${part.media_url}#t=${start},${end}`;
}

// A passage between its neighbours.
function context(parts, part, act) {
  const texts = parts.filter((one) => one.modality === "text");
  const at = texts.indexOf(part);
  const near = (one, name) => one && h("div", { class: "near" },
    h("a", { href: act.link(one.id), "data-show": one.id, "data-replace": true }, [name, place(one)].filter(Boolean).join(" · ")),
    h("p", {}, one.text));
  return h("section", { class: "context", "aria-label": "Passage" },
    near(texts[at - 1], "Before"),
    h("p", { class: "passage" }, part.text),
    near(texts[at + 1], "After"));
}

function figure(parts, part) {
  return [
    part.text && h("p", { class: "passage" }, part.label && h("b", {}, `${part.label} `), part.text),
    part.words && h("details", { class: "note" }, h("summary", {}, "Text in the picture"), h("p", {}, part.words)),
    h("p", { class: "where" }, part.detail),
  ];
}

function cites(parts, part, act) {
  const linked = (kind) => [...new Map(part.links.filter((one) => one.kind === kind).map((one) => [one.id, parts.find((other) => other.id === one.id)])).values()].filter(Boolean);
  const cited = linked("cites");
  const citing = linked("cited_by");
  const images = cited.filter((one) => one.modality === "image");
  const texts = [...cited.filter((one) => one.modality !== "image"), ...citing];
  return [
    images.length > 0 && h("section", {}, h("h3", {}, "Figures that this passage cites"), tiles(images, act)),
    texts.length > 0 && h("section", {}, h("h3", {}, citing.length ? "Passages that cite it" : "Tables that it cites"),
      texts.map((one) => h("div", { class: "near" },
        h("a", { href: act.link(one.id), "data-show": one.id, "data-replace": true }, place(one) || "Passage"),
        h("p", {}, one.text)))),
  ];
}

function pictures(parts, part, act) {
  const linked = new Set(part?.links.map((one) => one.id));
  const others = parts.filter((one) => one.modality === "image" && one !== part && !linked.has(one.id));
  return others.length > 0 && h("section", {}, h("h3", {}, "Other pictures of this document"), tiles(others.slice(0, MOST_PICTURES), act));
}

const tiles = (parts, act) => h("div", { class: "grid small" }, parts.map((one) =>
  h("div", { class: "tile", vars: { "--ratio": ratio(one.detail) } },
    h("a", { href: act.link(one.id), "data-show": one.id, "data-replace": true, "aria-label": one.label || one.text || one.title },
      h("span", { class: "frame" }, thumbnail(one.thumbnail_url, ""))),
    h("p", { class: "caption" }, one.label && h("b", {}, `${one.label} `), one.text))));

function about(found, part, act) {
  const kinds = ["text", "image", "audio"].map((kind) => [kind, found.parts.filter((one) => one.modality === kind).length]);
  const page = part?.span.page && found.media_type === "application/pdf" ? `#page=${part.span.page}` : "";
  const file = part && `${address(`v1/chunks/${part.id}/media`)}${page}`;
  const fact = (name, ...content) => h("div", {}, h("dt", {}, name), h("dd", {}, ...content));
  return h("aside", { "aria-label": "About this document" },
    part && h("p", { class: "acts" },
      h("button", { type: "button", onclick: () => act.like(part) }, "More like this"),
      h("a", { class: "button", href: file, target: "_blank", rel: "noopener", "data-file": found.source }, page ? `Open page ${part.span.page}` : "Open the file")),
    found.gone && h("p", { class: "note" }, "The file is missing on the server by now."),
    h("dl", {},
      Object.entries(found.metadata).map(([name, one]) => fact(name, act.filter ? values(name, one, act) : value(one))),
      fact("file", found.source),
      (found.places ?? []).length > 0 && fact("same content", found.places.map((one) => one.source).join(", ")),
      fact("type", `${found.media_type}, ${bytes(found.size_bytes)}`),
      fact("parts", kinds.filter(([, number]) => number).map(([kind, number]) => kindCount(kind, number)).join(", ") || count(0, "part")),
      fact("added", date(found.added_at))),
    found.notices.map((text) => h("p", { class: "note" }, text)));
}

function values(name, given, act) {
  return [given].flat().map((one, index) => [index ? ", " : null, h("a", { href: act.filter(name, one), "data-ask": true }, value(one))]);
}
