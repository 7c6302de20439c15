// The page: a question, and the view below it.

import { addFiles, Adding, dropped } from "./adding.js";
import { isEmpty, isMedia, partOf, read, same } from "./address.js";
import { get, search } from "./api.js";
import { Ask, Help } from "./ask.js";
import { Detail } from "./detail.js";
import { Home } from "./home.js";
import { Icon } from "./icons.js";
import { install } from "./keyboard.js";
import { facetKeys, Filters, Narrow, Tabs } from "./narrow.js";
import { follow, go, Link, openers } from "./navigation.js";
import { Further, Hits } from "./results.js";
import { Refusal, Skeleton, State } from "./states.js";
import { html, render, useEffect, useRef, useState } from "./vendor/preact.js";
import { count, kindCount } from "./words.js";

const MOST_KEPT = 20;
const MOST_LISTED = 1000; // by the server
const SLOW_MS = 250;
const kept = new Map(); // answers of earlier questions, so that back is immediate
const titles = new Map(); // of results, for chips
const VIEWS = {
  library: () => import("./library.js").then((module) => module.LibraryView),
  map: () => import("./map.js").then((module) => module.MapView),
};
const logo = new URL("logo.svg", import.meta.url).href;

function keep(name, answer) {
  kept.delete(name);
  kept.set(name, answer);
  if (kept.size > MOST_KEPT) kept.delete(kept.keys().next().value);
  for (const hit of answer.results) titles.set(hit.id, hit.title || hit.source);
  return answer;
}

// Return the answer to a question and what is known meanwhile: {name, answer, problem, busy, again}.
function useAnswer(question, stats) {
  const name = same(question);
  const [state, set] = useState({ name });
  const [round, repeat] = useState(0);
  const columns = stats && Object.keys(stats.columns).length;
  useEffect(() => {
    if (isEmpty(question) || question.lost || question.view === "library") {
      set({ name });
      return undefined;
    }
    if (kept.has(name) && state.name !== name) {
      set({ name, answer: kept.get(name) });
      return undefined;
    }
    const stop = new AbortController();
    const slow = setTimeout(() => set({ ...state, busy: true, slow: true }), SLOW_MS);
    set({ ...state, busy: true });
    performance.mark("asked");
    search(question, {}, stop.signal).then(
      (answer) => set({ name, answer: keep(name, answer), fresh: true }),
      (problem) => !stop.signal.aborted && set({ name, problem: Object.assign(problem, { q: question.q }) }),
    ).finally(() => clearTimeout(slow));
    return () => {
      clearTimeout(slow);
      stop.abort();
    };
  }, [name, round]);
  useEffect(() => {
    if (state.fresh) requestAnimationFrame(() => performance.measure("first results", "asked"));
  }, [state]);
  // Values of the columns are counted once they are known, so that results never wait for them.
  const [facets, setCounts] = useState(null);
  useEffect(() => {
    if (!state.answer || !columns) return undefined;
    const stop = new AbortController();
    search(question, { limit: 1, facets: ["modality", ...facetKeys(stats.columns)] }, stop.signal)
      .then((answer) => setCounts(answer.facets), () => {});
    return () => stop.abort();
  }, [state.answer && state.name, columns]);
  const [joining, join] = useState({});
  const next = async () => {
    const page = await search(question, { cursor: state.answer.cursor });
    const joined = { ...page, facets: state.answer.facets, results: [...state.answer.results, ...page.results], no_good_match: state.answer.no_good_match };
    set({ name, answer: keep(name, joined) });
  };
  // Add the next page; with `focus`, its first result gets the focus.
  const more = (focus) => {
    const before = openers().length;
    join({ name, busy: true });
    next().then(() => {
      join({});
      if (focus) setTimeout(() => openers()[before]?.focus());
    }, (failed) => join({ name, failed }));
  };
  const further = joining.name === name ? joining : {};
  return { ...state, facets, more, further, again: () => repeat((one) => one + 1) };
}

function App() {
  const [question, set] = useState(read());
  const [stats, setCounts] = useState(null);
  const [said, say] = useState("");
  const latest = useRef(); // asks again
  useEffect(() => {
    follow((to) => { say(""); set(to); });
    install();
    document.addEventListener("library-changed", () => {
      kept.clear();
      void refresh();
      latest.current();
    });
    if (isEmpty(question) && !question.view) document.getElementById("words").focus();
  }, []);
  // Answers from before a change of the library are not kept.
  const refresh = () => get("v1/stats").then((found) => setCounts((before) => {
    if (before && before.version !== found.version) kept.clear();
    return found;
  }), () => {});
  useEffect(() => void refresh(), [question.view, isEmpty(question)]);
  const answered = useAnswer(question, stats);
  latest.current = answered.again;
  const home = isEmpty(question) && !question.view;
  const problem = answered.name === same(question) ? answered.problem : null;
  const fault = problem?.status === 422 && problem.q && ["query", "filter", "usage"].includes(problem.kind) ? problem : null;
  useEffect(() => {
    document.body.className = [home && "home", answered.busy && "busy"].filter(Boolean).join(" ");
    document.title = isEmpty(question) && !question.view ? "Trawl" : `${title(question)} – Trawl`;
  });
  const modalities = answered.facets?.find((one) => one.key === "modality")?.counts;
  const counts = modalities && Object.fromEntries(modalities.map((one) => [one.value, one.count]));
  return html`
    <a class="skip" href="#results">Skip to the results</a>
    <header>
      <${Link} class="brand" id="home" to=${{}}><img src=${logo} alt="" width="32" height="32" /><span>Trawl</span></${Link}>
      <${Ask} question=${question} titles=${titles} stats=${stats} fault=${fault} say=${say} />
      <${Help} />
      <nav id="views" aria-label="Views">${[["", "Search"], ["library", "Library"], ...(stats?.several ? [] : [["map", "Map"]])].map(([view, name]) => html`
        <${Link} key=${view} to=${view === "library" ? { view } : { ...question, view, show: "" }} aria-current=${question.view === view ? "page" : null}>${name}</${Link}>`)}</nav>
    </header>
    ${!home && !question.view && html`<${Tabs} question=${question} counts=${counts ?? {}} />`}
    ${!home && !question.view && html`<${Filters} question=${question} />`}
    ${!home && !question.view && !answered.answer && !stats && html`<div class="narrow" aria-hidden="true"></div>`}
    ${!home && !question.view && (answered.answer || stats) && html`<${Narrow} question=${question} stats=${stats} facets=${answered.facets} />`}
    <p id="status" role="status" aria-live="polite">${said || summary(question, answered, stats)}</p>
    <main id="results" tabindex="-1" aria-busy=${answered.busy ? "true" : null}>
      <h1 class="hidden">${title(question)}</h1>
      ${question.view
        ? html`<${View} key=${question.view} question=${question} answered=${answered} stats=${stats} refresh=${refresh} say=${say} />`
        : home
          ? html`<${Home} refresh=${refresh} stats=${stats} />`
          : html`<${Results} question=${question} answered=${answered} fault=${fault} />`}
    </main>
    ${question.show && html`<${Detail} id=${question.show} />`}
    <${Drop} question=${question} several=${stats?.several} say=${say} />
    <${Adding} refresh=${refresh} />`;
}

const title = ({ q, view }) => q || { library: "Library", map: "Map" }[view] || "Search";

function summary(question, { answer, busy }, stats) {
  if (question.view === "library") return "";
  if (isEmpty(question)) {
    if (!stats?.documents) return "";
    const kinds = ["text", "image", "audio"].filter((kind) => stats.chunks[kind]).map((kind) => kindCount(kind, stats.chunks[kind]));
    return `${count(stats.documents, "document")}: ${kinds.join(", ")}`;
  }
  if (busy || !answer?.results.length) return "";
  const ms = Math.max(1, Math.round(answer.query_time_ms));
  return `${count(answer.results.length, "result")}${answer.cursor ? ", best first" : ""} · ${ms} ms`;
}

// A view that is loaded when it is first shown.
function View({ question, ...rest }) {
  const [state, set] = useState({});
  const load = () => VIEWS[question.view]?.().then((Shown) => set({ Shown }), () => set({ problem: { status: 0, message: "" } }));
  useEffect(() => void load(), []);
  if (!(question.view in VIEWS)) return html`<${State} title="There is no such view"><${Link} to=${{}}>Search</${Link}></${State}>`;
  if (state.problem) return html`<${Refusal} problem=${state.problem} again=${load} />`;
  return state.Shown ? html`<${state.Shown} question=${question} ...${rest} />` : null;
}

function Results({ question, answered, fault }) {
  const { answer, problem, slow, busy, again } = answered;
  if (question.lost) {
    return html`<${State} title="The picture or sound of this question is gone"><p>It was kept only while the page was open. Drop or paste it again.</p></${State}>`;
  }
  if (fault) return null;
  if (problem && !busy) return html`<${Refusal} problem=${problem} again=${again} />`;
  if (slow && busy) return html`<${Skeleton} grid=${question.modality === "image"} />`;
  if (!answer) return null;
  const none = !answer.results.length;
  return html`
    ${(answer.libraries ?? []).filter((one) => one.error).map((one) => html`<p class="note" key=${one.name}>Without library ${one.name}: ${one.error}</p>`)}
    ${answer.notices.map((text) => html`<p class="note" key=${text}>${text}</p>`)}
    ${none && html`<${State} title="Nothing found"><p>${answer.notices.length ? "See the notice above." : `No document fits this question. ${question.where.length || question.map ? "Remove a filter, or use" : "Use"} other words or another kind of result.`}</p></${State}>`}
    ${!none && answer.no_good_match && html`<section class="nomatch"><h2>No good match</h2><p>Nothing in this library answers this better than chance.</p></section><p class="below"><span>Nearest</span></p>`}
    <${Hits} hits=${answer.results} open=${Boolean(answer.cursor) && !answer.more} />
    ${answer.more > 0 && html`<p class="rest">${count(answer.more, "weaker result")} left out. <${Link} to=${{ ...question, all: true, show: "" }}>Show all</${Link}></p>`}
    ${answer.results.length >= MOST_LISTED && html`<p class="rest">A list ends after ${count(MOST_LISTED, "result")}. Narrow the question to see others.</p>`}
    ${answer.cursor && !answer.more && html`<${Further} key=${answer.results.length} more=${answered.more} ...${answered.further} />`}`;
}

// What is dropped on the page is searched by or added. A drop beside both targets searches by
// pictures and sounds, and adds other files. `several` libraries are only searched.
function Drop({ question, several, say }) {
  const [over, set] = useState(null);
  const latest = useRef();
  latest.current = { question, several, say };
  useEffect(() => {
    let depth = 0;
    const enter = (event) => {
      if (![...event.dataTransfer.types].includes("Files")) return;
      depth += 1;
      set({ media: [...event.dataTransfer.items].some((one) => /^(image|audio)\//.test(one.type) || !one.type) });
    };
    const away = () => { depth = Math.max(0, depth - 1); if (!depth) set(null); };
    const stay = (event) => event.preventDefault();
    const drop = async (event) => {
      event.preventDefault();
      depth = 0;
      set(null);
      const target = latest.current.several ? "search" : event.target.closest?.("[data-drop]")?.dataset.drop;
      const files = await dropped(event.dataTransfer);
      const parts = target === "add" ? [] : files.filter(isMedia);
      const others = files.filter((one) => !parts.includes(one));
      const { question: now } = latest.current;
      if (parts.length) go({ ...now, parts: [...now.parts, ...parts.map(partOf)], show: "", view: "" });
      if (others.length && target === "search") latest.current.say(`${others.map((one) => one.name).join(", ")}: a question takes pictures and sounds.`);
      else if (others.length) void addFiles(others);
    };
    const events = { dragenter: enter, dragleave: away, dragover: stay, drop };
    for (const [name, one] of Object.entries(events)) document.addEventListener(name, one);
  }, []);
  return over && html`<div id="drop">
    ${(over.media || several) && html`<p data-drop="search"><${Icon} name="search" />Search by it</p>`}
    ${!several && html`<p data-drop="add"><${Icon} name="add" />Add to the library</p>`}</div>`;
}

render(html`<${App} />`, document.getElementById("app"));
