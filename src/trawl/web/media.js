// Pictures and players. An element cannot send a key, so with a key its file is fetched first.

import { key, source } from "./api.js";
import { html, useEffect, useState } from "./vendor/preact.js";

const AGAIN_MS = 1000;

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

// A picture that says so if it cannot be shown, unless there is something to show `instead`.
export function Thumbnail({ url, text = "", instead = null }) {
  const [from, failed, fail] = useSource(url);
  const [tried, again] = useState(0);
  // A busy server refuses what it may allow soon: try once more.
  const retry = () => (tried ? fail() : setTimeout(() => again(1), AGAIN_MS));
  if (failed && instead) return instead;
  if (failed) return html`<span class="missing">no preview</span>`;
  return html`<img key=${tried} src=${from} alt=${text} loading="lazy" decoding="async" onError=${retry} />`;
}

// Pause every other player.
export function alone(event) {
  for (const other of document.querySelectorAll("audio, video")) {
    if (other !== event.target) other.pause();
  }
}

// Play or pause the first sound or video in an element.
export function toggle(element) {
  const button = element?.querySelector(".play");
  if (button) button.click();
  const player = element?.querySelector("video");
  if (button || !player) return Boolean(button);
  if (player.paused) player.play();
  else player.pause();
  return true;
}

