// Put what the server answers into words.

import { html } from "./vendor/preact.js";

const ENTITIES = { amp: "&", lt: "<", gt: ">", quot: '"', "#x27": "'", "#39": "'" };
const unescape = (text) => text.replace(/&(amp|lt|gt|quot|#x27|#39);/g, (_, name) => ENTITIES[name]);

// Return the nodes of a snippet: escaped HTML, in which only <mark> is markup. Headings at its
// start are left out, since they stand above it.
export function snippet(text, headings = []) {
  const pieces = text.split(/(<\/?mark>)/).map((piece) => (/^<\/?mark>$/.test(piece) ? piece : unescape(piece)));
  const whole = pieces.filter((piece) => !/^<\/?mark>$/.test(piece)).join("");
  let left = 0;
  for (const heading of headings) {
    if (heading && whole.startsWith(`${heading} `, left) && /^\p{Lu}/u.test(whole.slice(left + heading.length + 1))) left += heading.length + 1;
  }
  let marked = false;
  return pieces.map((piece) => {
    if (piece === "<mark>" || piece === "</mark>") {
      marked = piece === "<mark>";
      return null;
    }
    const shown = piece.slice(left);
    left = Math.max(0, left - piece.length);
    return marked && shown ? html`<mark>${shown}</mark>` : shown;
  });
}

// Return whether a caption begins with its label, also in short: "Fig. 2." for "Figure 2".
export function isLabelled(caption, label) {
  const number = /\S+$/.exec(label)?.[0];
  const begin = /^(\p{L})\p{L}*\.?\s+([\p{L}\d.]*[\p{L}\d])/u.exec(caption ?? "");
  return Boolean(begin) && begin[1].toLowerCase() === label[0].toLowerCase() && begin[2] === number;
}

export function clock(seconds) {
  const whole = Math.floor(seconds);
  const minutes = Math.floor(whole / 60);
  const rest = String(whole % 60).padStart(2, "0");
  if (minutes < 60) return `${minutes}:${rest}`;
  return `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}:${rest}`;
}

// Return a passage as paragraphs: lines that the document wrapped are joined.
export const paragraphs = (text) =>
  text.split(/\n\s*\n/).map((one) => one.replace(/\n(?![-*|•\d])/g, " ").trim()).filter(Boolean);

// Return where in its document a hit or a part is: "page 3, Methods, Figure 2".
export function place(one) {
  const { page, section, start_s: start } = one.span;
  const parts = [one.label, page ? `page ${page}` : "", section ?? ""];
  if (start) parts.push(`at ${clock(start)}`);
  return parts.filter(Boolean).join(" · ");
}

// Return the first line of a message of the server, without its place in the question.
export function sentence(message) {
  const said = message.split("\n")[0].replace(/^(query|filter), character \d+: /, "");
  return said.charAt(0).toUpperCase() + said.slice(1);
}

export const count = (number, one, many = `${one}s`) =>
  `${number.toLocaleString("en")} ${number === 1 ? one : many}`;

export const KINDS = { text: "Passages", image: "Pictures", audio: "Sounds" };
export const kindCount = (kind, number) =>
  count(number, { text: "passage", image: "picture", audio: "sound" }[kind]);

export function bytes(size) {
  if (size < 1000) return `${size} bytes`;
  for (const unit of ["kB", "MB", "GB"]) {
    size /= 1000;
    if (size < 1000) return `${size < 10 ? size.toFixed(1) : Math.round(size)} ${unit}`;
  }
  return `${Math.round(size)} GB`;
}

export const date = (text) =>
  new Date(text).toLocaleDateString(undefined, { year: "numeric", month: "long", day: "numeric" });

export function value(one) {
  if (Array.isArray(one)) return one.map(value).join(", ");
  if (one === true || one === false) return one ? "yes" : "no";
  return String(one ?? "");
}

function nth(rank) {
  const ends = { 1: "st", 2: "nd", 3: "rd" };
  const teen = Math.floor(rank / 10) % 10 === 1;
  return rank + ((!teen && ends[rank % 10]) || "th");
}

const SOURCES = {
  bm25: ["Words", "contains words of the question"],
  text: ["Meaning", "its text is close in meaning"],
  image: ["Picture", "the picture itself is close"],
  audio: ["Sound", "the sound itself is close"],
};

function strength(calibrated) {
  if (calibrated >= 4) return "far above this library's background";
  if (calibrated >= 2) return "well above this library's background";
  if (calibrated >= 0.5) return "a little above this library's background";
  return "no nearer than this library's background";
}

// Return why a hit has its place, a sentence for each source, the strongest first.
export function reasons(hit) {
  const found = [...hit.evidence].sort((a, b) => b.calibrated - a.calibrated).map((one) => {
    if (one.source === "rerank") {
      return ["Read again", `${Math.round(one.similarity * 100)} % likely to answer, ${nth(one.rank)} by this model`];
    }
    const [name, what] = SOURCES[one.source.split(".").pop()] ?? [one.source, "found"];
    return [name, `${what}, ${strength(one.calibrated)}; ${nth(one.rank)} in this list`];
  });
  return [["Place", `${nth(hit.rank)}, with ${Math.round(hit.score * 100)} % chance of a good match`], ...found];
}

const NAMES = { bm25: "words", text: "meaning", image: "picture", audio: "sound" };

// Return why a hit has its place in a few words: "picture: far above this library's background;
// caption matches “muon”".
export function gist(hit) {
  const marked = [...(hit.snippet ?? "").matchAll(/<mark>(.*?)<\/mark>/g)].map((one) => unescape(one[1]).toLowerCase());
  const found = [...new Set(marked)].slice(0, 4).map((one) => `“${one}”`).join(", ");
  const what = hit.modality === "text" ? "passage" : "caption";
  const strong = hit.evidence.filter((one) => one.calibrated >= 0.5);
  const said = (strong.length ? strong : hit.evidence.slice(0, 1)).toSorted((a, b) => b.calibrated - a.calibrated).map((one) => {
    const kind = one.source.split(".").pop();
    if (kind === "rerank") return `read again: ${Math.round(one.similarity * 100)} % likely`;
    if (kind === "bm25") return found ? `${what} matches ${found}` : "title or metadata match the words";
    if (kind === "text" && hit.modality !== "text") return `its caption: ${strength(one.calibrated)}`;
    return `${NAMES[kind] ?? kind}: ${strength(one.calibrated)}`;
  });
  const text = [...new Set(said)].slice(0, 2).join("; ");
  return text && text[0].toUpperCase() + text.slice(1);
}

// Return the width of a picture divided by its height, kept within what a grid can show.
export function ratio(detail) {
  const size = /(\d[\d,]*) × (\d[\d,]*)/.exec(detail ?? "");
  if (!size) return 4 / 3;
  const [width, height] = [size[1], size[2]].map((text) => Number(text.replaceAll(",", "")));
  return Math.min(3, Math.max(0.7, width / height || 4 / 3));
}
