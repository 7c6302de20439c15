// Pictures and players. An element cannot send a key, so with a key its file is fetched first.

import { key, source } from "./api.js";
import { html, useEffect, useState } from "./vendor/preact.js";

// Return the source of a file, and whether it failed: [url | undefined, failed, fail].
export function useSource(url) {
  const [state, set] = useState({ url: key() ? undefined : url, failed: false, of: url });
  useEffect(() => {
    let current = true;
    if (!key()) set({ url, failed: false, of: url });
    else source(url).then((made) => current && set({ url: made, failed: false, of: url }), () => current && set({ failed: true, of: url }));
    return () => { current = false; };
  }, [url]);
  const stale = state.of !== url;
  return [stale ? undefined : state.url, !stale && state.failed, () => set({ failed: true, of: url })];
}

// A picture that says so if it cannot be shown.
export function Thumbnail({ url, text = "" }) {
  const [from, failed, fail] = useSource(url);
  if (failed) return html`<span class="missing">no preview</span>`;
  return html`<img src=${from} alt=${text} loading="lazy" decoding="async" onError=${fail} />`;
}

// A player that starts at the second which the address has.
export function Player({ url, name }) {
  const [from, failed, fail] = useSource(url);
  if (failed) {
    return html`<p class="note">This sound cannot be played here. Its file may be missing, or your browser may not know its format.</p>`;
  }
  return html`<audio controls preload="metadata" src=${from} aria-label=${`Play ${name}`} onError=${fail} onPlay=${alone}></audio>`;
}

// Pause every other player.
export function alone(event) {
  for (const other of document.querySelectorAll("audio, video")) {
    if (other !== event.target) other.pause();
  }
}

// Play or pause the first sound or video in an element.
export function toggle(element) {
  const player = element?.querySelector("audio, video");
  if (!player) return false;
  if (player.paused) player.play();
  else player.pause();
  return true;
}

