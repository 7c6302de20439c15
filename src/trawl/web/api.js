// Talk to the server: requests with the key of this session, problems, and media.

const BASE = new URL("../../", import.meta.url);
const KEY = "trawl-key";
const MOST_BLOBS = 200;

export class Problem extends Error {
  // A refusal of the server; `status` is 0 if the server did not answer.
  constructor(status, body = {}, retryS = null) {
    super(body.detail || body.title || "The server does not answer.");
    this.status = status;
    this.kind = (body.type ?? "").split(":").pop();
    this.id = body.request_id ?? "";
    this.retryS = retryS;
  }
}

export const key = () => sessionStorage.getItem(KEY);
export function keepKey(value) {
  if (value) sessionStorage.setItem(KEY, value);
  else sessionStorage.removeItem(KEY);
}

export const address = (path) => new URL(path.replace(/^\//, ""), BASE).href;
// Return the headers that carry the key.
export const keyed = () => (key() ? { Authorization: `Bearer ${key()}` } : {});

async function answer(url, options = {}) {
  let response;
  try {
    response = await fetch(url, { ...options, headers: { ...options.headers, ...keyed() } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0);
  }
  if (response.ok) return response;
  const body = await response.json().catch(() => ({}));
  const after = Number(response.headers.get("Retry-After"));
  throw new Problem(response.status, body, after > 0 ? Math.ceil(after) : null);
}

export async function get(path, parameters = {}, signal) {
  const url = new URL(address(path));
  for (const [name, value] of Object.entries(parameters)) {
    for (const one of [value].flat()) url.searchParams.append(name, one);
  }
  return (await answer(url, { signal })).json();
}

export const bytes = async (path, signal) => (await answer(address(path), { signal })).arrayBuffer();

// Return what a path has, its tag, and the methods that this key may use on it.
export async function getWhole(path) {
  const response = await answer(address(path));
  const allows = (response.headers.get("Allow") ?? "").split(/, */);
  return { body: await response.json(), tag: response.headers.get("ETag"), allows };
}

export async function send(method, path, body, signal, more = {}) {
  const options = { method, signal, headers: more };
  if (body instanceof FormData) options.body = body;
  else if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers = { ...more, "Content-Type": "application/json" };
  }
  const response = await answer(address(path), options);
  return response.status === 204 ? null : response.json();
}

// Ask a question, as `address.js` reads it. `more` has further fields of the request.
export async function search(question, more = {}, signal) {
  const form = new FormData();
  const parts = question.parts.map((part, index) => {
    if (part.like) return { like: part.like, weight: part.weight };
    form.append(`file${index}`, part.file, part.file.name || "pasted");
    return { file: `file${index}`, weight: part.weight };
  });
  const query = { limit: question.modality === "image" ? 50 : 25, ...more };
  if (question.q) query.q = question.q;
  if (parts.length) query.parts = parts;
  if (question.modality) query.modalities = [question.modality];
  if (question.all) query.all = true;
  if (question.map) query.map = question.map;
  if (question.sort) query.sort = question.sort;
  if (question.where.length) query.where = question.where.map((one) => `(${one})`).join(" and ");
  if (!question.parts.some((part) => part.file)) return send("POST", "v1/search", query, signal);
  form.append("query", JSON.stringify(query));
  return send("POST", "v1/search", form, signal);
}

// Call `take` with the data of each server-sent event, until the stream ends. `EventSource` cannot
// send a key.
export async function follow(path, take) {
  const response = await answer(address(path), { headers: { Accept: "text/event-stream" } });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split(/\r?\n\r?\n/);
    rest = blocks.pop();
    for (const block of blocks) {
      const data = block.split(/\r?\n/).filter((line) => line.startsWith("data:")).map((line) => line.slice(5).trim());
      if (data.length) take(JSON.parse(data.join("\n")));
    }
  }
}

// Return whether the server answers at all.
export const alive = () => get("health/live").then(() => true, (problem) => problem.status !== 0);

const blobs = new Map();

// Return a source for a picture or a sound. An element cannot send a key, so with a key the file
// is fetched first. Raises `Problem`.
export async function source(url) {
  if (!key()) return url;
  const [file, fragment] = url.split("#");
  const made = await blob(file);
  return fragment ? `${made}#${fragment}` : made;
}

export function blob(url) {
  if (!blobs.has(url)) {
    const made = answer(url).then((response) => response.blob()).then(URL.createObjectURL);
    made.catch(() => blobs.delete(url));
    blobs.set(url, made);
    if (blobs.size > MOST_BLOBS) {
      const [oldest, source] = blobs.entries().next().value;
      blobs.delete(oldest);
      source.then(URL.revokeObjectURL, () => {});
    }
  }
  return blobs.get(url);
}
