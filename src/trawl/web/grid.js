// Pictures in rows of one width. Their sizes are known before they are loaded, so nothing moves.

import { html, useEffect, useLayoutEffect, useRef, useState } from "./vendor/preact.js";
import { ratio } from "./words.js";

const HEIGHT_PX = 190;
const NARROW_PX = 130; // on a phone
const GAP_PX = 16;
const MOST_STRETCH = 1.6;
const FIRST_ROWS = 8;
const ROWS_A_FRAME = 2; // so that a page of results never blocks scrolling

// Return rows of {pictures, height}. The last one is left out if more pictures are to come, since
// they would fill it.
function rowsOf(pictures, width, open) {
  const wanted = width < 600 ? NARROW_PX : HEIGHT_PX;
  const rows = [];
  let row = [];
  let sum = 0;
  for (const one of pictures) {
    row.push(one);
    sum += ratio(one.detail);
    const height = (width - GAP_PX * (row.length - 1)) / sum;
    if (height > wanted) continue;
    rows.push({ pictures: row, height });
    [row, sum] = [[], 0];
  }
  if (row.length && !(open && rows.length)) {
    rows.push({ pictures: row, height: Math.min(wanted * (pictures.length === 1 ? MOST_STRETCH : 1), (width - GAP_PX * (row.length - 1)) / sum) });
  }
  return rows;
}

function inner(element) {
  const style = getComputedStyle(element);
  return element.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
}

// `tile` makes the element of a picture. Rows are made once, since there may be many.
export function Grid({ pictures, open, tile }) {
  const box = useRef();
  const made = useRef(new Map());
  const [width, set] = useState(() => inner(document.getElementById("results")));
  useLayoutEffect(() => {
    const watcher = new ResizeObserver(() => set(box.current?.clientWidth ?? width));
    watcher.observe(box.current);
    return () => watcher.disconnect();
  }, []);
  const [shown, show] = useState(FIRST_ROWS);
  const found = rowsOf(pictures, Math.floor(width), open);
  useEffect(() => {
    if (shown >= found.length) return undefined;
    const frame = requestAnimationFrame(() => show(shown + ROWS_A_FRAME));
    return () => cancelAnimationFrame(frame);
  }, [shown, found.length]);
  const before = made.current;
  made.current = new Map();
  const rows = found.slice(0, shown).map((row) => {
    const name = `${row.height} ${row.pictures.map((one) => one.id).join(" ")}`;
    const known = before.get(name);
    const same = known && known.pictures.every((one, at) => one === row.pictures[at]);
    const element = same ? known.element : html`<div class="tiles" key=${row.pictures[0].id} style=${{ "--height": `${row.height}px` }}>${row.pictures.map(tile)}</div>`;
    made.current.set(name, { pictures: row.pictures, element });
    return element;
  });
  return html`<div class="rows" ref=${box}>${rows}</div>`;
}
