// What the page shows instead of results: loading, nothing found, refusals, the key.

import { alive, key, keepKey } from "./api.js";
import { $, h } from "./dom.js";

let timer = 0;

export function calm() {
  clearInterval(timer);
}

export function skeleton(modality) {
  const rows = modality === "image" ? 8 : 4;
  return h("div", { class: modality === "image" ? "grid waiting" : "waiting", "aria-hidden": "true" },
    Array.from({ length: rows }, () => h("div", { class: modality === "image" ? "tile" : "hit row" },
      h("span", { class: modality === "image" ? "frame" : "side" }), modality !== "image" && h("div", { class: "body" }, h("i"), h("i"), h("i")))));
}

export function state(title, ...content) {
  return h("section", { class: "state" }, h("h2", {}, title), ...content.map((one) => (typeof one === "string" ? h("p", {}, one) : one)));
}

const button = (text, onclick) => h("button", { type: "button", onclick }, text);

// Return the state for a problem. `again` repeats what failed, by itself where that can help.
export function refusal(problem, again) {
  const { status, retryS } = problem;
  const id = problem.id && status >= 500 ? h("p", { class: "where" }, `Request ${problem.id}`) : "";
  if (status === 0) return offline(again);
  if (status === 403) return state("This key may not do that", problem.message, button("Use another key", () => askKey(again)));
  if (status === 429) return waiting("Too many questions", "This server limits how many questions it takes.", retryS ?? 10, again);
  if (status === 503 && retryS) return waiting("The server is busy", problem.message, retryS, again);
  if (status === 503) return state("The library cannot be searched now", problem.message, id, button("Try again", again));
  if (status === 413) return state("This file is too large", problem.message);
  if (status === 415) return state("This file cannot be read", problem.message);
  if (status === 404) return state("This is no longer in the library", problem.message);
  if (status >= 500) return state("Something went wrong", problem.message, id, button("Try again", again));
  return state("The server did not accept this", problem.message);
}

function waiting(title, text, seconds, again) {
  const left = h("p", { class: "countdown" });
  let rest = Math.min(seconds, 3600);
  const tick = () => {
    left.textContent = `Trying again in ${rest} s.`;
    rest -= 1;
    if (rest >= -1) return;
    calm();
    again();
  };
  calm();
  tick();
  timer = setInterval(tick, 1000);
  return state(title, text, left, button("Try now", again));
}

function offline(again) {
  calm();
  timer = setInterval(async () => {
    if (await alive()) {
      calm();
      again();
    }
  }, 2000);
  return state("The server does not answer", "This page tries again by itself, and goes on once the server is back.", button("Try now", again));
}

// Ask for a key, keep it for this session, and go on.
export function askKey(again, invalid = false) {
  const dialog = $("key");
  const field = h("input", { type: "password", id: "key-field", autocomplete: "off", required: true, "aria-describedby": "key-note" });
  const form = h("form", {},
    h("h2", { id: "key-title" }, "This library needs a key"),
    h("p", { id: "key-note", class: invalid ? "bad" : "", role: invalid ? "alert" : null },
      invalid ? "The server does not accept this key. Check it and enter it again." : "Whoever runs the server gives out keys. It is kept until you close this tab."),
    h("label", { for: "key-field" }, "API key"),
    field,
    h("button", { type: "submit", class: "go" }, "Continue"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    keepKey(field.value.trim());
    dialog.close();
    again();
  });
  dialog.replaceChildren(form);
  if (!dialog.open) dialog.showModal();
  field.focus();
}

// Return what the results show while the key is asked for.
export function locked(again) {
  const invalid = key() !== null;
  keepKey(null);
  askKey(again, invalid);
  return state("This library needs a key", button("Enter a key", () => askKey(again)));
}
