// A player with the waveform of the whole recording, which starts at the second of a hit.

import { get } from "./api.js";
import { Icon } from "./icons.js";
import { alone, useSource } from "./media.js";
import { html, useEffect, useRef, useState } from "./vendor/preact.js";
import { clock } from "./words.js";

const MOST_KEPT = 200;
const BAR_PX = 3;
const known = new Map(); // waveforms by document, since its hits have the same

function waveform(id) {
  const document = id.split(":")[0];
  if (!known.has(document)) {
    if (known.size > MOST_KEPT) known.clear();
    known.set(document, get(`v1/chunks/${id}/peaks`));
    known.get(document).catch(() => known.delete(document));
  }
  return known.get(document);
}

// Return the waveform, once the element is near the visible part of the page.
function useWaveform(id, element) {
  const [found, set] = useState(null);
  useEffect(() => {
    let current = true;
    const watcher = new IntersectionObserver((entries) => {
      if (!entries.some((one) => one.isIntersecting)) return;
      watcher.disconnect();
      waveform(id).then((one) => current && set(one), () => {}); // a flat line plays as well
    }, { rootMargin: "200px" });
    watcher.observe(element.current);
    return () => { current = false; watcher.disconnect(); };
  }, [id]);
  return found;
}

// `part` is a hit or a chunk of a sound, `moments` are others of the same recording.
export function Player({ part, moments = [] }) {
  const start = part.span.start_s ?? 0;
  const [file] = part.media_url.split("#");
  const [from, failed, fail] = useSource(start ? `${file}#t=${start}` : file);
  const [state, set] = useState({ at: start, playing: false, length: 0 });
  const box = useRef();
  const audio = useRef();
  const canvas = useRef();
  const found = useWaveform(part.id, box);
  const length = state.length || (found?.complete ? found.duration_s : 0) || part.span.end_s || 1;
  useDrawing(canvas, audio, { found, length, span: part.span, moments, ...state });
  const name = part.title || part.source;
  const now = () => audio.current.currentTime;
  const seek = (second, play) => {
    audio.current.currentTime = second;
    set((one) => ({ ...one, at: second }));
    if (play) audio.current.play().catch(() => {});
  };
  const toggle = () => (audio.current.paused ? audio.current.play().catch(() => {}) : audio.current.pause());
  const update = () => set((one) => ({ ...one, at: now() }));
  const status = (playing) => set((one) => ({ ...one, playing }));
  return html`<div class="sound" ref=${box}>
    ${failed && html`<p class="note">This sound cannot be played here. Its file may be missing, or your browser may not know its format.</p>`}
    <div class="player" hidden=${failed}>
      <button type="button" class="play go" aria-label=${`${state.playing ? "Pause" : "Play"} ${name}`} onClick=${toggle}><${Icon} name=${state.playing ? "pause" : "play"} /></button>
      <span class="wave"><canvas ref=${canvas} aria-hidden="true"></canvas>
        <input type="range" min="0" max=${length} step="0.1" value=${state.at} aria-label=${`Position in ${name}`} aria-valuetext=${`${clock(state.at)} of ${clock(length)}`} onInput=${(event) => seek(Number(event.target.value))} /></span>
      <span class="clock">${clock(state.at)} / ${clock(length)}</span>
      <audio ref=${audio} src=${from} preload="none" aria-label=${name} onError=${() => from && fail()} onTimeUpdate=${update} onPlay=${(event) => { alone(event); status(true); }} onPause=${() => status(false)}
        onLoadedMetadata=${() => set((one) => ({ ...one, length: Number.isFinite(audio.current.duration) ? audio.current.duration : one.length }))}></audio>
    </div>
    ${!failed && moments.length > 0 && html`<p class="links">Also at ${moments.map((one) => html`
      <button type="button" class="moment" key=${one.id} aria-label=${`Play from ${clock(one.span.start_s)}`} onClick=${() => seek(one.span.start_s, true)}>${clock(one.span.start_s)}</button>`)}</p>`}
  </div>`;
}

// Draw when something changes, and continuously while the sound plays.
function useDrawing(canvas, audio, drawn) {
  const latest = useRef();
  latest.current = drawn;
  const redraw = () => canvas.current && draw(canvas.current, { ...latest.current, at: drawn.playing ? audio.current.currentTime : latest.current.at });
  useEffect(redraw);
  useEffect(() => {
    const watcher = new ResizeObserver(redraw);
    watcher.observe(canvas.current);
    const theme = matchMedia("(prefers-color-scheme: dark)");
    theme.addEventListener("change", redraw);
    return () => { watcher.disconnect(); theme.removeEventListener("change", redraw); };
  }, []);
  useEffect(() => {
    if (!drawn.playing) return undefined;
    let frame = 0;
    const next = () => { redraw(); frame = requestAnimationFrame(next); };
    next();
    return () => cancelAnimationFrame(frame);
  }, [drawn.playing]);
}

function draw(canvas, { found, length, span, moments, at }) {
  const scale = devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  if (!width) return;
  if (canvas.width !== Math.round(width * scale)) {
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
  }
  const pen = canvas.getContext("2d");
  const style = getComputedStyle(canvas);
  const color = (name) => style.getPropertyValue(name);
  const x = (second) => (second / length) * width;
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  pen.clearRect(0, 0, width, height);
  if (span.end_s !== null && span.end_s !== undefined && span.end_s - span.start_s < length - 0.5) {
    pen.fillStyle = color("--tint");
    pen.beginPath();
    pen.roundRect(x(span.start_s), 0, Math.max(4, x(span.end_s) - x(span.start_s)), height, 4);
    pen.fill();
  }
  const peaks = found?.peaks ?? [];
  const loudest = Math.max(0.05, ...peaks);
  const covered = found ? Math.min(1, found.duration_s / length) : 0;
  for (let left = 0; left + 2 <= width; left += BAR_PX) {
    const first = Math.floor((left / width / (covered || 1)) * peaks.length);
    const last = Math.max(first + 1, Math.floor(((left + BAR_PX) / width / (covered || 1)) * peaks.length));
    const value = first < peaks.length ? Math.max(0, ...peaks.slice(first, last)) / loudest : 0;
    const size = Math.max(2, value * (height - 8));
    pen.fillStyle = color(left <= x(at) && at > 0 ? "--accent" : "--faint");
    pen.fillRect(left, (height - size) / 2, 2, size);
  }
  pen.fillStyle = color("--accent");
  for (const one of moments) {
    pen.beginPath();
    pen.arc(Math.max(3, x(one.span.start_s)), height - 3, 3, 0, 7);
    pen.fill();
  }
}
