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
  add: "M12 4v12M7 9l5-5 5 5M5 20h14",
};

export const Icon = ({ name }) =>
  html`<svg viewBox="0 0 24 24" aria-hidden="true"><path d=${PATHS[name] ?? PATHS.text} /></svg>`;
