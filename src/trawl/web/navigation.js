// Move between questions. Each is an entry of the history, with an address of its own.

import { read, write } from "./address.js";
import { html } from "./vendor/preact.js";

let listener = () => {};

// Call `next` with the question of the address, now and after each move.
export function follow(next) {
  listener = next;
  window.addEventListener("popstate", () => listener(read()));
}

const depth = () => history.state?.depth ?? 0;

// Go to a question: a new entry of the history, unless it is the present one.
export function go(to, replace = false) {
  const url = write(to);
  if (replace) history.replaceState({ depth: depth() }, "", url);
  else if (url !== write(read())) history.pushState({ depth: depth() + 1 }, "", url);
  listener(read());
}

// Close a detail. One that this page opened is an entry of the history; one from outside is not.
export function leave() {
  if (depth()) history.back();
  else go({ ...read(), show: "" }, true);
}

// Return the links that open the results, in their order.
export const openers = () => [...document.querySelectorAll("#results .hit .open")];

// Go to the result before (-1) or after (1) the one that is shown, if there is one.
export function neighbour(step) {
  const ids = openers().map((one) => one.dataset.show);
  const at = ids.indexOf(read().show);
  const to = at < 0 ? undefined : ids[at + step];
  if (to) go({ ...read(), show: to }, true);
  return Boolean(to);
}

// A link to a question, which opens in this page unless a modifier key asks for another.
export function Link({ to, replace = false, children, ...rest }) {
  const open = (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    go(to, replace);
  };
  return html`<a href=${write(to)} onClick=${open} ...${rest}>${children}</a>`;
}

// A link to a chunk or a document: its detail opens over the results.
export function Show({ id, replace = false, children, ...rest }) {
  return html`<${Link} to=${{ ...read(), show: id }} replace=${replace} data-show=${id} ...${rest}>${children}</${Link}>`;
}

// Ask for results like a chunk.
export const like = (id) => go({ ...read(), q: "", parts: [{ like: id, weight: 1 }], where: [], map: "", show: "", all: false, view: "" });
