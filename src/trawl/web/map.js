// The map of the library: each part is a point, and parts that are alike are near each other.

import { read, same } from "./address.js";
import { bytes, get } from "./api.js";
import { Chart, inside } from "./chart.js";
import { Thumbnail } from "./media.js";
import { go, Show } from "./navigation.js";
import { Refusal, State } from "./states.js";
import { html, useEffect, useLayoutEffect, useRef, useState } from "./vendor/preact.js";
import { count, kindCount, place } from "./words.js";

const KINDS = ["text", "image", "audio"];
const NAMES = { text: "Passages", image: "Pictures", audio: "Sounds" };
const POLL_MS = 1000;
const FEWEST = 3;
const MOST_LIT = 100;
const MOST_CORNERS = 60;
const STEP_PX = 60;

const LARGEST = 32767; // coordinates of the server are whole numbers up to it, and down to its negative

// Return the points of the server's bytes: all x, then all y (int16), then all kinds (uint8).
function decoded(buffer) {
  const size = buffer.byteLength / 5;
  const scaled = (from) => Float32Array.from(new Int16Array(buffer, from, size), (one) => (one + LARGEST) / (2 * LARGEST));
  return { x: scaled(0), y: scaled(size * 2), kind: new Uint8Array(buffer, size * 4, size) };
}

function colour(name) {
  const probe = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  probe.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  probe.fillRect(0, 0, 1, 1);
  return [...probe.getImageData(0, 0, 1, 1).data.slice(0, 3)];
}

const colours = () => ({
  kinds: KINDS.map((kind) => colour(`--map-${kind}`)), ground: colour("--card"), line: colour("--accent").join(" "),
});

// The points of the map, with what the server says of them, and its state while it is computed.
function useMap(version) {
  const [found, set] = useState({});
  const load = async () => {
    try {
      const state = await get("v1/map");
      const map = !state.tag || found.map?.tag === state.tag
        ? found.map
        : { ...state, points: decoded(await bytes("v1/map/points")) };
      set({ state, map });
    } catch (problem) {
      set({ ...found, problem });
    }
  };
  useEffect(() => void load(), [version]);
  useEffect(() => {
    if (found.state?.state !== "computing") return undefined;
    const timer = setTimeout(load, POLL_MS);
    return () => clearTimeout(timer);
  }, [found]);
  return { ...found, load };
}

export function MapView({ question, answered, stats }) {
  const { state, map, problem, load } = useMap(stats?.version);
  if (stats?.several) return html`<${State} title="Several libraries have no map"><p>Serve one of them alone to see its map.</p></${State}>`;
  if (problem) return html`<${Refusal} problem=${problem} again=${load} />`;
  if (!state) return null;
  if (state.state === "failed" && !map) return html`<${State} title="The map could not be computed"><p>${state.error}</p><button type="button" onClick=${load}>Try again</button></${State}>`;
  if (!map) {
    return html`<${State} title="The map is being computed"><p>Each part of a document gets a place by what it is like. The map opens by itself.</p>
      <progress value=${state.progress} aria-label="Progress of the map"></progress></${State}>`;
  }
  if (state.state === "ready" && state.points < FEWEST) return html`<${State} title="There is nothing to draw yet"><p>A map needs at least three searchable parts. Add files first.</p></${State}>`;
  const note = { computing: "The library has changed; the map is being updated.", failed: state.error }[state.state];
  return html`${note && html`<p class="note" role="status">${note}</p>`}<${Drawn} key=${map.tag} map=${map} question=${question} answered=${answered} />`;
}

// Return the hits of an answer as points of the map: [[index, hit]].
function useLit(map, question, answered) {
  const [lit, set] = useState([]);
  const { answer } = answered;
  useEffect(() => {
    const results = (answer?.results ?? []).slice(0, MOST_LIT);
    if (!results.length) {
      set([]);
      return undefined;
    }
    let current = true;
    get("v1/map/chunks", { id: results.map((hit) => hit.id), tag: map.tag }).then(({ indexes }) => {
      if (current) set(results.filter((hit) => hit.id in indexes).map((hit) => [indexes[hit.id], hit]));
    }, () => current && set([]));
    return () => { current = false; };
  }, [answer && same(question), map.tag]);
  return lit;
}

function Drawn({ map, question, answered }) {
  const canvas = useRef();
  const chart = useRef();
  const [hidden, hide] = useState(new Set());
  const [drawing, lasso] = useState(false);
  const [shown, show] = useState(null); // {index, left, top}
  const [chosen, choose] = useState(null); // the points inside of a lasso
  const lit = useLit(map, question, answered);
  const [, moved] = useState(0);
  const draw = () => {
    if (!chart.current) return;
    chart.current.hidden = hidden;
    chart.current.lit = lit.length ? new Set(lit.map(([index]) => index)) : null;
    chart.current.draw(colours());
    moved((one) => one + 1);
  };
  const frame = useRef(0);
  const redraw = () => {
    cancelAnimationFrame(frame.current);
    frame.current = requestAnimationFrame(draw);
  };
  const latest = useRef(redraw);
  latest.current = redraw;
  useLayoutEffect(() => {
    chart.current = new Chart(canvas.current, map.points);
    chart.current.fit(map.points.x.keys());
    const resized = new ResizeObserver(() => { chart.current.resize(); latest.current(); });
    resized.observe(canvas.current);
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const themed = () => latest.current();
    dark.addEventListener("change", themed);
    return () => {
      resized.disconnect();
      dark.removeEventListener("change", themed);
    };
  }, []);
  useEffect(redraw, [hidden, lit]);
  const pointer = usePointer(map, chart, redraw, { drawing, show, finish: (line) => {
    const found = inside(line, map.points, hidden);
    lasso(false);
    choose(found.length ? { line, found } : null);
    if (!found.length) chart.current.line = [];
    redraw();
  } });
  const clear = () => { chart.current.line = []; choose(null); redraw(); };
  const toggle = (kind) => {
    const next = new Set(hidden);
    if (!next.delete(kind)) next.add(kind);
    hide(next);
  };
  const present = KINDS.filter((kind) => map.counts[kind]);
  const keys = (event) => {
    const steps = { ArrowLeft: [STEP_PX, 0], ArrowRight: [-STEP_PX, 0], ArrowUp: [0, STEP_PX], ArrowDown: [0, -STEP_PX] };
    if (event.key in steps) chart.current.pan(...steps[event.key]);
    else if (event.key === "+" || event.key === "=") chart.current.zoom(1.4);
    else if (event.key === "-") chart.current.zoom(1 / 1.4);
    else if (event.key === "0") chart.current.fit(map.points.x.keys());
    else return;
    event.preventDefault();
    redraw();
  };
  const search = () => {
    const every = Math.max(1, Math.ceil(chosen.line.length / MOST_CORNERS));
    const whole = (one) => Math.round(Math.max(0, Math.min(1, one)) * 2 * LARGEST) - LARGEST;
    const corners = chosen.line.filter((_, at) => at % every === 0).map((corner) => corner.map(whole).join(","));
    go({ ...question, view: "", map: `${map.version}:${corners.join(",")}`, show: "" });
  };
  return html`<section class="map" aria-label="Map of the library">
    <div class="maptools">
      ${present.map((kind) => html`<button type="button" key=${kind} class=${`legend ${kind}`} aria-pressed=${String(!hidden.has(KINDS.indexOf(kind)))} onClick=${() => toggle(KINDS.indexOf(kind))}>
        <i></i>${NAMES[kind]} <span class="count">${map.counts[kind].toLocaleString("en")}</span></button>`)}
      <span class="gap"></span>
      <button type="button" aria-pressed=${String(drawing)} onClick=${() => lasso(!drawing)}>Draw a region</button>
      <button type="button" aria-label="Zoom in" onClick=${() => { chart.current.zoom(1.5); redraw(); }}>+</button>
      <button type="button" aria-label="Zoom out" onClick=${() => { chart.current.zoom(1 / 1.5); redraw(); }}>−</button>
      <button type="button" onClick=${() => { chart.current.fit(map.points.x.keys()); redraw(); }}>Whole map</button>
      ${lit.length > 0 && html`<button type="button" onClick=${() => { chart.current.fit(lit.map(([index]) => index)); redraw(); }}>Fit results</button>`}
    </div>
    <div class=${drawing ? "mapframe drawing" : "mapframe"}>
      <canvas ref=${canvas} tabindex="0" role="img" aria-label=${`${present.map((kind) => kindCount(kind, map.counts[kind])).join(", ")}. Arrow keys move, plus and minus zoom.`} onKeyDown=${keys} ...${pointer}></canvas>
      ${lit.map(([index, hit]) => html`<${Pin} key=${hit.id} chart=${chart} index=${index} hit=${hit} show=${show} hidden=${hidden} />`)}
      ${shown && html`<${Preview} key=${shown.index} map=${map} shown=${shown} />`}
      ${chosen && html`<p class="chosen" role="status">${count(chosen.found.length, "part")} in this region
        <button type="button" class="go" onClick=${search}>Search in this region</button><button type="button" onClick=${clear}>Clear</button></p>`}
    </div>
    ${answered.problem && html`<${Refusal} problem=${answered.problem} again=${answered.again} />`}
    ${lit.length > 0 && html`<ol class="maphits" aria-label="Results on the map">${lit.map(([, hit]) => html`
      <li key=${hit.id}><${Show} id=${hit.id}>${hit.title || hit.source}</${Show}> <span class="count">${[place(hit), hit.source].filter(Boolean).join(" · ")}</span></li>`)}</ol>`}
  </section>`;
}

// The number of a result at its point.
function Pin({ chart, index, hit, show, hidden }) {
  const current = chart.current;
  if (!current || hidden.has(current.points.kind[index])) return null;
  const [left, top] = current.place(index);
  if (left < 0 || top < 0 || left > current.width / current.ratio || top > current.height / current.ratio) return null;
  const focus = () => show({ index, left, top, hit });
  return html`<${Show} id=${hit.id} class="pin" style=${{ left: `${left}px`, top: `${top}px` }} aria-label=${`Result ${hit.rank}: ${hit.title || hit.source}`}
    onFocus=${focus} onBlur=${() => show(null)} onPointerEnter=${focus} onPointerLeave=${() => show(null)}>${hit.rank}</${Show}>`;
}

const known = new Map();

// Return the chunk at a point, or null if it cannot be had.
const chunkAt = (map, index) =>
  get("v1/map/chunks", { at: index, tag: map.tag }).then((body) => body.chunks[0]?.chunk ?? null, () => null);

// What a point is: its picture or text.
function Preview({ map, shown }) {
  const [found, set] = useState(shown.hit);
  useEffect(() => {
    if (found) return undefined;
    const timer = setTimeout(async () => {
      const name = `${map.tag}:${shown.index}`;
      if (!known.has(name)) {
        const chunk = await chunkAt(map, shown.index);
        if (!chunk) return;
        known.set(name, chunk);
      }
      set(known.get(name));
    }, 80);
    return () => clearTimeout(timer);
  }, []);
  if (!found) return null;
  const text = found.text_preview ?? found.text ?? "";
  return html`<aside class=${shown.top < 220 ? "preview low" : "preview"} style=${{ left: `${shown.left}px`, top: `${shown.top}px` }}>
    ${found.modality === "image" && html`<span class="frame"><${Thumbnail} url=${found.thumbnail_url} /></span>`}
    <b>${found.title || found.source}</b>
    ${text && html`<span>${text.slice(0, 160)}</span>`}
    <span class="count">${[place(found), found.source].filter(Boolean).join(" · ")}</span>
  </aside>`;
}

// Return the handlers of a canvas: drag to move or to draw a region, wheel and two fingers to zoom,
// click to open.
function usePointer(map, chart, redraw, { drawing, show, finish }) {
  const touches = useRef(new Map());
  const moved = useRef(false);
  const at = (event) => {
    const box = event.currentTarget.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const open = async (index) => {
    const chunk = await chunkAt(map, index);
    if (chunk) go({ ...read(), show: chunk.id });
  };
  return {
    onPointerDown: (event) => {
      event.currentTarget.setPointerCapture(event.pointerId);
      touches.current.set(event.pointerId, at(event));
      moved.current = false;
      if (drawing || event.shiftKey) chart.current.line = [chart.current.toChart(...at(event))];
      show(null);
    },
    onPointerMove: (event) => {
      const now = at(event);
      const before = touches.current.get(event.pointerId);
      if (!before) {
        const index = chart.current.nearest(...now);
        show(index < 0 ? null : { index, left: now[0], top: now[1] });
        return;
      }
      if (Math.hypot(now[0] - before[0], now[1] - before[1]) < 2 && !moved.current) return;
      moved.current = true;
      const others = [...touches.current].filter(([id]) => id !== event.pointerId).map(([, one]) => one);
      if (others.length) {
        const [other] = others;
        const spread = (one) => Math.hypot(one[0] - other[0], one[1] - other[1]) || 1;
        chart.current.zoom(spread(now) / spread(before), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
      } else if (chart.current.line.length && (drawing || event.shiftKey)) chart.current.line.push(chart.current.toChart(...now));
      else chart.current.pan(now[0] - before[0], now[1] - before[1]);
      touches.current.set(event.pointerId, now);
      redraw();
    },
    onPointerUp: (event) => {
      touches.current.delete(event.pointerId);
      if ((drawing || event.shiftKey) && chart.current.line.length > 2) finish(chart.current.line);
      else if (!moved.current) {
        const index = chart.current.nearest(...at(event));
        if (index >= 0) void open(index);
      }
    },
    onPointerCancel: (event) => touches.current.delete(event.pointerId),
    onPointerLeave: () => show(null),
    onWheel: (event) => {
      event.preventDefault();
      chart.current.zoom(Math.exp(-event.deltaY / 400), ...at(event));
      redraw();
    },
  };
}
