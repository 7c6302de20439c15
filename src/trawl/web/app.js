// Start the page: read the address, ask the server, show the answer, and react.

import { blob, key, search } from "./api.js";
import * as detail from "./detail.js";
import { $, h } from "./dom.js";
import { home } from "./home.js";
import { chips, fault, isEmpty, partsOf, read, same, write } from "./question.js";
import { list } from "./results.js";
import * as states from "./states.js";
import { count, KINDS } from "./words.js";

const MOST_KEPT = 20;
const results = $("results");
const status = $("status");
const words = $("words");
const kept = new Map(); // answers of earlier questions, so that back is immediate
const titles = new Map(); // of results, for chips
let question = read();
let shown = null; // what `results` shows, as `same` writes it
let asking = null;

const act = {
  link: (id) => write({ ...question, show: id }),
  ask: (q) => write({ q }),
  filter: (name, one) => write({ q: condition(name, one) }),
  like: (hit) => {
    titles.set(hit.id, hit.title || hit.source);
    go({ ...question, q: "", parts: [{ like: hit.id, weight: 1 }], show: "", all: false });
  },
  close: () => leave(),
};

function condition(name, one) {
  const quoted = (text) => `"${String(text).replace(/["\\]/g, "\\$&")}"`;
  const word = /^[A-Za-z][\w.-]*$/;
  return `${word.test(name) ? name : quoted(name)}:${typeof one === "string" && !/^[\w-]+$/.test(one) ? quoted(one) : one}`;
}

// Go to a question: a new entry of the history, unless it is the present one.
function go(to, replace = false) {
  const url = write(to);
  if (replace) history.replaceState({ depth: history.state?.depth ?? 0 }, "", url);
  else if (url !== write(question)) history.pushState({ depth: (history.state?.depth ?? 0) + 1 }, "", url);
  load();
}

function leave() {
  // A detail that this page opened is an entry of the history; one from outside is not.
  if (history.state?.depth) history.back();
  else go({ ...question, show: "" }, true);
}

async function load(again = false) {
  states.calm();
  question = read();
  if (again !== true && document.activeElement !== words) words.value = question.q;
  else if (words.value.trim() !== question.q) words.value = question.q;
  chips(question, titles, (parts) => go({ ...question, q: words.value.trim(), parts, show: "" }));
  tabs();
  document.title = question.q ? `${question.q} – Trawl` : "Trawl";
  document.body.classList.toggle("home", isEmpty(question));
  if (shown !== same(question) || again === true) await ask();
  await openDetail();
}

async function openDetail() {
  if (!question.show) {
    const was = $("detail").open;
    detail.close();
    if (was) results.querySelector(`[data-show="${CSS.escape(last)}"]`)?.focus({ preventScroll: true });
    return;
  }
  last = results.querySelector(`[data-show="${CSS.escape(question.show)}"]`) ? question.show : last;
  const wanted = question.show;
  try {
    await detail.open(wanted, act);
  } catch (problem) {
    if (read().show !== wanted) return;
    refuse(problem, () => load(true), (one) => {
      $("detail").replaceChildren(one, h("button", { type: "button", onclick: act.close }, "Close"));
      if (!$("detail").open) $("detail").showModal();
    });
  }
}
let last = "";

function refuse(problem, again, place) {
  if (problem.name === "AbortError") return;
  if (problem.status === 401) place(states.locked(again));
  else if (problem.status === undefined) throw problem;
  else place(states.refusal(problem, again));
}

async function ask() {
  asking?.abort();
  asking = new AbortController();
  const { signal } = asking;
  const wanted = question;
  const name = same(wanted);
  fault(null);
  if (wanted.lost) {
    place(name, [states.state("The picture or sound of this question is gone", "It was kept only while the page was open. Drop or paste it again.")], "");
    return;
  }
  if (kept.has(name) && shown !== name) {
    answered(wanted, kept.get(name));
    return;
  }
  document.body.classList.add("busy");
  results.setAttribute("aria-busy", "true");
  const slow = setTimeout(() => results.replaceChildren(states.skeleton(wanted.modality)), 250);
  try {
    if (isEmpty(wanted)) {
      const found = await home(act, signal);
      if (!signal.aborted) place(name, found.rows, found.status);
    } else {
      performance.mark("asked");
      const answer = await search(wanted, {}, signal);
      if (!signal.aborted) {
        keep(name, answer);
        answered(wanted, answer);
        requestAnimationFrame(() => performance.measure("first results", "asked"));
      }
    }
  } catch (problem) {
    if (signal.aborted) return;
    failed(problem, wanted);
  } finally {
    clearTimeout(slow);
    if (!signal.aborted) {
      document.body.classList.remove("busy");
      results.removeAttribute("aria-busy");
    }
  }
}

function failed(problem, wanted) {
  shown = null;
  if (problem.status === 422 && wanted.q && ["query", "filter", "usage"].includes(problem.kind)) {
    fault(problem, wanted.q);
    place(null, [], "");
    return;
  }
  refuse(problem, () => load(true), (one) => place(null, [one], one.querySelector("h2").textContent));
}

function keep(name, answer) {
  kept.delete(name);
  kept.set(name, answer);
  if (kept.size > MOST_KEPT) kept.delete(kept.keys().next().value);
}

function place(name, rows, text) {
  shown = name;
  results.replaceChildren(...rows);
  status.textContent = text;
}

function answered(wanted, answer) {
  const hits = answer.results;
  for (const hit of hits) titles.set(hit.id, hit.title || hit.source);
  const rows = [];
  for (const text of answer.notices) rows.push(h("p", { class: "note" }, text));
  if (!hits.length) rows.push(states.state("Nothing found", answer.notices.length ? "See the notice above." : "No document fits this question. Use fewer or other words, or another kind of result."));
  else if (answer.no_good_match) {
    rows.push(h("section", { class: "nomatch" }, h("h2", {}, "No good match"), h("p", {}, "Nothing in this library answers this better than chance. Below the line is what is nearest.")), h("hr"));
  }
  rows.push(...list(hits, act));
  if (answer.more) {
    rows.push(h("p", { class: "rest" }, `${count(answer.more, "weaker result")} left out. `,
      h("a", { href: write({ ...wanted, all: true, show: "" }), "data-ask": true }, "Show all")));
  }
  if (answer.cursor && !answer.more) rows.push(further(wanted, answer));
  const ms = Math.max(1, Math.round(answer.query_time_ms));
  place(same(wanted), rows, hits.length ? `${count(hits.length, "result")}${answer.cursor ? ", best first" : ""} · ${ms} ms` : "");
}

// Return a button that adds the next page.
function further(wanted, answer) {
  const button = h("button", { type: "button", class: "next" }, "More results");
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      const page = await search(wanted, { cursor: answer.cursor });
      const before = answer.results.length;
      const joined = { ...page, results: [...answer.results, ...page.results], no_good_match: answer.no_good_match };
      keep(same(wanted), joined);
      if (shown !== same(wanted)) return;
      answered(wanted, joined);
      results.querySelectorAll(".hit .open")[before]?.focus();
    } catch (problem) {
      button.disabled = false;
      button.textContent = `${problem.message} Try again`;
    }
  });
  return button;
}

function tabs() {
  const tab = (modality, text) => h("a", { href: write({ ...question, modality, show: "" }), "data-ask": true, "aria-current": question.modality === modality ? "page" : null }, text);
  $("tabs").replaceChildren(tab("", "All"), ...Object.entries(KINDS).map(([kind, text]) => tab(kind, text)));
}

function take(files) {
  const { parts, refused } = partsOf(files);
  if (refused.length) {
    status.textContent = `${refused.join(", ")}: drop a picture or a sound. Files are added with: trawl add`;
  }
  if (parts.length) go({ ...question, q: words.value.trim(), parts: [...question.parts, ...parts], show: "" });
}

// --- events ------------------------------------------------------------------------------

$("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  const to = { ...question, q: words.value.trim(), show: "", all: false };
  if (isEmpty(to)) to.modality = "";
  if (same(to) === shown) results.querySelector(".hit .open")?.focus();
  else if (write(to) === write(question)) load(true);
  else go(to);
});

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-show], a[data-ask], #home, a[data-file]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  if (link.dataset.file && !key()) return;
  event.preventDefault();
  if (link.dataset.file) return void save(link);
  $("help").open = false;
  if (link.dataset.show) go({ ...question, show: link.dataset.show }, Boolean(link.dataset.replace));
  else {
    detail.close();
    words.blur();
    history.pushState({ depth: (history.state?.depth ?? 0) + 1 }, "", link.id === "home" ? location.pathname : link.href);
    load();
  }
});

// A link cannot send a key, so the file is fetched and saved. It is not opened here, where it
// could run as a part of this page.
async function save(link) {
  try {
    const source = await blob(link.href.split("#")[0]);
    h("a", { href: source, download: link.dataset.file }).click();
  } catch (problem) {
    status.textContent = problem.message;
  }
}

window.addEventListener("popstate", () => {
  words.blur();
  load();
});

$("attach").addEventListener("click", () => $("file").click());
$("file").addEventListener("change", () => {
  take([...$("file").files]);
  $("file").value = "";
});
document.addEventListener("paste", (event) => {
  const files = [...(event.clipboardData?.files ?? [])];
  if (!files.length) return;
  event.preventDefault();
  take(files);
});
let over = 0;
document.addEventListener("dragenter", (event) => {
  if (![...event.dataTransfer.types].includes("Files")) return;
  over += 1;
  $("drop").hidden = false;
});
document.addEventListener("dragleave", () => {
  over = Math.max(0, over - 1);
  if (!over) $("drop").hidden = true;
});
document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", (event) => {
  event.preventDefault();
  over = 0;
  $("drop").hidden = true;
  take([...event.dataTransfer.files]);
});

$("detail").addEventListener("cancel", (event) => {
  event.preventDefault();
  leave();
});
$("detail").addEventListener("click", (event) => {
  if (event.target === $("detail")) leave();
});
document.addEventListener("click", (event) => {
  if (!$("help").contains(event.target)) $("help").open = false;
});

const MOVES = { ArrowDown: 1, ArrowUp: -1, ArrowRight: 1, ArrowLeft: -1 };

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const target = event.target;
  const typing = target.matches("input, textarea, select, audio, video");
  if ($("detail").open) return void moveInDetail(event, typing);
  if ($("key").open) return;
  if (event.key === "/" && !typing) {
    event.preventDefault();
    words.focus();
    words.select();
  } else if (event.key === "Escape") {
    if ($("help").open) $("help").open = false;
    else if (target !== words) words.focus();
  } else if (event.key === " " && target.closest(".hit .open")) {
    const audio = target.closest(".hit").querySelector("audio");
    if (!audio) return;
    event.preventDefault();
    if (audio.paused) audio.play();
    else audio.pause();
  } else if (event.key in MOVES && (!typing || (target === words && event.key === "ArrowDown"))) move(event);
});

function move(event) {
  const hits = [...results.querySelectorAll(".hit .open")];
  const at = hits.indexOf(event.target.closest(".hit")?.querySelector(".open"));
  if (at < 0 && event.target !== words && event.target !== document.body && event.target !== results) return;
  const to = at < 0 ? (MOVES[event.key] > 0 ? 0 : -1) : at + MOVES[event.key];
  event.preventDefault();
  if (to < 0) words.focus();
  else hits[to]?.focus();
}

function moveInDetail(event, typing) {
  if (typing || !["ArrowLeft", "ArrowRight"].includes(event.key)) return;
  const ids = [...results.querySelectorAll(".hit .open")].map((one) => one.dataset.show);
  const at = ids.indexOf(question.show);
  const to = ids[at + MOVES[event.key]];
  if (at < 0 || !to) return;
  event.preventDefault();
  go({ ...question, show: to }, true);
}

load();
if (isEmpty(question)) words.focus();
