// The question in the address: words, pictures, sounds, results, filters and the view.

// Files cannot be in an address. They are kept here for as long as the page is open.
const files = new Map();
let lastFile = 0;

const PART = /^(-?)(.+?)(?:\*(\d+(?:\.\d+)?))?$/;

function part(text) {
  const [, minus, name, weight] = PART.exec(text) ?? [];
  return { name, weight: (minus ? -1 : 1) * (Number(weight) || 1) };
}

// Return the question of an address: {q, parts: [{like | file, name, weight}], modality, where,
// sort, all, show, view, map, list, lost}. `where` has filters, `lost` is set if a file is gone.
export function read(search = location.search) {
  const given = new URLSearchParams(search);
  const parts = given.getAll("like").filter(Boolean).map((text) => {
    const { name, weight } = part(text);
    return { like: name, weight };
  });
  let lost = false;
  for (const text of given.getAll("file").filter(Boolean)) {
    const { name, weight } = part(text);
    if (files.has(name)) parts.push({ file: files.get(name), name, weight });
    else lost = true;
  }
  return {
    q: given.get("q") ?? "", parts, lost,
    modality: given.get("m") ?? "", where: given.getAll("where"), sort: given.get("sort") ?? "",
    all: given.has("all"), show: given.get("show") ?? "", view: given.get("view") ?? "",
    map: given.get("map") ?? "", list: given.get("list") ?? "",
  };
}

// Return the address of a question.
export function write({ q = "", parts = [], modality = "", where = [], sort = "", all = false, show = "", view = "", map = "", list = "" }) {
  const made = new URLSearchParams();
  if (view) made.set("view", view);
  if (list) made.set("list", list);
  if (q) made.set("q", q);
  for (const one of parts) {
    const size = Math.abs(one.weight);
    made.append(one.like ? "like" : "file", `${one.weight < 0 ? "-" : ""}${one.like ?? one.name}${size === 1 ? "" : `*${size}`}`);
  }
  if (modality) made.set("m", modality);
  for (const one of where) made.append("where", one);
  if (map) made.set("map", map);
  if (sort) made.set("sort", sort);
  if (all) made.set("all", "1");
  if (show) made.set("show", show);
  const text = made.toString().replaceAll("%3A", ":");
  return text ? `?${text}` : location.pathname;
}

// Return what the results depend on: two questions with the same text have the same results.
export const same = (question) => write({ ...question, show: "" });

export const isEmpty = ({ q, parts, where, map, lost }) => !q && !parts.length && !where.length && !map && !lost;

const MEDIA = /\.(flac|opus|ogg|oga|wav|mp3|m4a|aac|heic|heif|avif|tiff?)$/i;
export const isMedia = (file) => /^(image|audio)\//.test(file.type) || MEDIA.test(file.name);

// Return a part of a question for a picture or a sound.
export function partOf(file) {
  lastFile += 1;
  files.set(`${lastFile}`, file);
  return { file, name: `${lastFile}`, weight: 1 };
}

// Return the text of a value in a filter.
export const literal = (value) =>
  typeof value === "string" ? `'${value.replaceAll("'", "''")}'` : String(value);

// Return the name of a column in a filter.
export const column = (name) =>
  (/^[A-Za-z_][\w.]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`);
