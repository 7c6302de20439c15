// Icons: strokes on a grid of 24.

import { html } from "./vendor/preact.js";

const PATHS = {
  text: "M5 3h10l4 4v14H5zM9 11h6M9 15h6",
  image: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4",
  audio: "M4 10v4M8 6v12M12 9v6M16 4v16M20 10v4",
  close: "M6 6l12 12M18 6 6 18",
  camera: "M4 8h3l2-3h6l2 3h3v11H4zM12 9.5a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7z",
  microphone: "M12 3a3 3 0 0 1 3 3v5a3 3 0 0 1-6 0V6a3 3 0 0 1 3-3zM6 11a6 6 0 0 0 12 0M12 17v4",
  stop: "M7 7h10v10H7z",
  minus: "M6 12h12",
  plus: "M6 12h12M12 6v12",
  search: "M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zM15.5 15.5 20 20",
  play: "M8 5v14l11-7z",
  pause: "M8 5v14M16 5v14",
  back: "M15 5l-7 7 7 7",
  next: "M9 5l7 7-7 7",
  zoom: "M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zM15.5 15.5 20 20M7.5 10.5h6M10.5 7.5v6",
  edit: "M5 19l1-4L16 5l3 3L9 18z",
  remove: "M5 7h14M9 7V4h6v3M7 7l1 13h8l1-13",
  add: "M12 4v12M7 9l5-5 5 5M5 20h14",
};

export const Icon = ({ name }) =>
  html`<svg viewBox="0 0 24 24" aria-hidden="true"><path d=${PATHS[name] ?? PATHS.text} /></svg>`;
