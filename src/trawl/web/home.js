// The page without a question: what the library holds, and its newest documents.

import { address, get } from "./api.js";
import { h, icon } from "./dom.js";
import { thumbnail } from "./results.js";
import { state } from "./states.js";
import { count, kindCount } from "./words.js";

const PAGE = 24;

const kindOf = (type) => (type.startsWith("image/") || type.startsWith("video/") ? "image" : type.startsWith("audio/") ? "audio" : "text");

// Return what the empty page shows, and its status. `act` is that of `list`.
export async function home(act, signal) {
  const [stats, page] = await Promise.all([get("v1/stats", {}, signal), newest(0, signal)]);
  if (stats.documents === 0) {
    const empty = state("This library is empty", h("p", {}, "Add files with ", h("code", {}, "trawl add FOLDER"), ", then reload this page."));
    return { status: "", rows: [empty] };
  }
  const kinds = ["text", "image", "audio"].filter((kind) => stats.chunks[kind]).map((kind) => kindCount(kind, stats.chunks[kind]));
  const cards = h("div", { class: "cards" });
  const examples = page.documents.filter((one) => one.title && one.title.length < 60 && kindOf(one.media_type) !== "text").slice(0, 3);
  cards.append(...page.documents.map((one) => card(one, act)));
  const rows = [
    examples.length > 0 && h("p", { class: "examples" }, "Try ", examples.map((one) => h("a", { href: act.ask(plain(one.title)), "data-ask": true }, plain(one.title).toLowerCase()))),
    h("h2", { class: "above" }, "Newest"), cards, next(page, cards, act)];
  return { status: `${count(stats.documents, "document")}: ${kinds.join(", ")}`, rows: rows.filter(Boolean) };
}

const newest = (offset, signal) => get("v1/documents", { failed: false, sort: "-added_at", limit: PAGE, offset }, signal);
const plain = (title) => title.replace(/[^\p{L}\p{N}\s,'-]/gu, " ").replace(/\s+-/g, " ").replace(/\s+/g, " ").trim();

function next(page, cards, act) {
  if (page.next_offset === null) return null;
  const button = h("button", { type: "button", class: "next" }, "Older documents");
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      const more = await newest(page.next_offset);
      const added = more.documents.map((one) => card(one, act));
      cards.append(...added);
      added[0]?.querySelector("a").focus();
      const after = next(more, cards, act);
      if (after) button.replaceWith(after);
      else button.remove();
    } catch (problem) {
      button.disabled = false;
      button.textContent = `${problem.message} Try again`;
    }
  });
  return button;
}

function card(found, act) {
  const kind = kindOf(found.media_type);
  const face = h("span", { class: `face ${kind}` });
  if (kind === "image") face.append(thumbnail(address(`v1/chunks/${found.id}:0/thumbnail`), ""));
  else face.append(icon(kind));
  return h("article", { class: "hit card" },
    h("a", { class: "open", href: act.link(found.id), "data-show": found.id }, face, h("span", { class: "title" }, found.title || found.source)),
    h("p", { class: "where" }, found.source));
}
