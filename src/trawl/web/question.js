// The question: words, pictures, sounds and results, in the box and in the address.

import { $, h, icon } from "./dom.js";

// Files cannot be in an address. They are kept here for as long as the page is open.
const files = new Map();
let lastFile = 0;

// Return the question of the address: {q, modality, all, show, parts: [{like | file, weight}]}.
export function read() {
  const given = new URLSearchParams(location.search);
  const parts = given.getAll("like").map((text) => ({ like: text.replace(/^-/, ""), weight: text.startsWith("-") ? -1 : 1 }));
  let lost = false;
  for (const text of given.getAll("file")) {
    const file = files.get(text.replace(/^-/, ""));
    if (file) parts.push({ file, name: text.replace(/^-/, ""), weight: text.startsWith("-") ? -1 : 1 });
    else lost = true;
  }
  return { q: given.get("q") ?? "", modality: given.get("m") ?? "", all: given.has("all"), show: given.get("show") ?? "", parts, lost };
}

// Return the address of a question.
export function write({ q = "", modality = "", all = false, show = "", parts = [] }) {
  const made = new URLSearchParams();
  if (q) made.set("q", q);
  for (const part of parts) made.append(part.like ? "like" : "file", (part.weight < 0 ? "-" : "") + (part.like ?? part.name));
  if (modality) made.set("m", modality);
  if (all) made.set("all", "1");
  if (show) made.set("show", show);
  const text = made.toString().replaceAll("%3A", ":");
  return text ? `?${text}` : location.pathname;
}

// Return what the results depend on: two questions with the same text have the same results.
export const same = (question) => write({ ...question, show: "" });

export const isEmpty = (question) => !question.q && question.parts.length === 0;

// Return the parts for pictures and sounds, and the names of the other files.
export function partsOf(given) {
  const parts = [];
  const refused = [];
  for (const file of given) {
    if (!/^(image|audio)\//.test(file.type) && !/\.(flac|opus|ogg|oga|wav|mp3|m4a|heic|tiff?)$/i.test(file.name)) {
      refused.push(file.name);
      continue;
    }
    lastFile += 1;
    const name = `${lastFile}`;
    files.set(name, file);
    parts.push({ file, name, weight: 1 });
  }
  return { parts, refused };
}

const previews = new WeakMap();
function preview(file) {
  if (!file.type.startsWith("image/")) return icon("audio");
  if (!previews.has(file)) previews.set(file, URL.createObjectURL(file));
  const image = h("img", { src: previews.get(file), alt: "" });
  image.addEventListener("error", () => image.replaceWith(icon("image")));
  return image;
}

// Show the parts of a question as chips. `change` takes the new parts; `titles` has known hits.
export function chips(question, titles, change) {
  $("chips").replaceChildren(...question.parts.map((part, index) => {
    const name = part.file ? part.file.name || "pasted picture" : titles.get(part.like) ?? "a result";
    const others = question.parts.filter((_, at) => at !== index);
    const turned = question.parts.map((one, at) => (at === index ? { ...one, weight: -one.weight } : one));
    const away = part.weight < 0;
    return h("span", { class: away ? "chip away" : "chip", role: "listitem" },
      part.file ? preview(part.file) : null,
      h("button", { type: "button", "aria-pressed": String(away), title: away ? "Results are unlike this; press for results like it" : "Results are like this; press for results unlike it", onclick: () => change(turned) },
        away ? "unlike " : "like ", h("span", { class: "name" }, name)),
      h("button", { type: "button", class: "remove", "aria-label": `Remove ${name}`, onclick: () => change(others) }, icon("close")));
  }));
}

// Show an error of the question's language under its character.
export function fault(problem, q) {
  const box = $("fault");
  const words = $("words");
  words.toggleAttribute("aria-invalid", Boolean(problem));
  if (!problem) {
    box.replaceChildren();
    return;
  }
  const [first, ...rest] = problem.message.split("\n");
  const carets = rest.find((line) => /^ +\^+ *$/.test(line));
  const line = carets ? rest[rest.indexOf(carets) - 1] : null;
  const start = carets?.indexOf("^") ?? 0;
  const end = carets ? carets.trimEnd().length : 0;
  const message = first.replace(/^(query|filter), character \d+: /, "");
  const allowed = rest.find((text) => text.startsWith("allowed: "));
  const bad = line?.slice(start, end) || "\u00a0";
  box.replaceChildren(
    line === null ? "" : h("pre", { "aria-hidden": "true" }, line.slice(2, start), h("u", {}, bad), line.slice(end)),
    h("p", {}, message),
    allowed ? h("details", {}, h("summary", {}, "What can be written"), h("p", {}, allowed.slice(9))) : "");
  const at = Number(/character (\d+):/.exec(first)?.[1] ?? 0) - 1;
  if (at >= 0 && words.value === q) {
    words.focus();
    words.setSelectionRange(at, at + Math.max(1, end - start));
  }
}
