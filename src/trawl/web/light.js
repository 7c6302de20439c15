// A picture over the whole window, which can be enlarged and moved.

import { Icon } from "./icons.js";
import { useSource } from "./media.js";
import { html, useLayoutEffect, useRef, useState } from "./vendor/preact.js";

const MOST = 12;
const STEP = 1.4;
const MOVE_PX = 80;
const MOVES = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

export function Lightbox({ url, name, close }) {
  const [from, failed, fail] = useSource(url);
  const [view, set] = useState({ scale: 1, x: 0, y: 0 });
  const dialog = useRef();
  const pointers = useRef(new Map());
  useLayoutEffect(() => {
    const before = document.activeElement;
    dialog.current.showModal();
    return () => before?.focus?.();
  }, []);
  // Enlarge around a point, in pixels from the middle of the window.
  const zoom = (factor, x = 0, y = 0) => set((one) => {
    const scale = Math.min(MOST, Math.max(1, one.scale * factor));
    const by = scale / one.scale;
    return scale === 1 ? { scale, x: 0, y: 0 } : { scale, x: x - (x - one.x) * by, y: y - (y - one.y) * by };
  });
  const move = (x, y) => set((one) => (one.scale === 1 ? one : { ...one, x: one.x + x, y: one.y + y }));
  const middle = (event) => [event.clientX - innerWidth / 2, event.clientY - innerHeight / 2];
  const wheel = (event) => { event.preventDefault(); zoom(event.deltaY < 0 ? STEP : 1 / STEP, ...middle(event)); };
  const twice = (event) => (view.scale > 1 ? set({ scale: 1, x: 0, y: 0 }) : zoom(3, ...middle(event)));
  const down = (event) => {
    if (event.target.closest("button")) return;
    event.currentTarget.setPointerCapture(event.pointerId);
    pointers.current.set(event.pointerId, [event.clientX, event.clientY]);
  };
  const drag = (event) => {
    const before = pointers.current.get(event.pointerId);
    if (!before) return;
    const now = [event.clientX, event.clientY];
    pointers.current.set(event.pointerId, now);
    const other = [...pointers.current].find(([id]) => id !== event.pointerId)?.[1];
    if (!other) move(now[0] - before[0], now[1] - before[1]);
    else {
      const far = (one) => Math.max(1, Math.hypot(one[0] - other[0], one[1] - other[1]));
      zoom(far(now) / far(before), ...middle(event));
    }
  };
  const up = (event) => pointers.current.delete(event.pointerId);
  const keys = (event) => {
    event.stopPropagation(); // the keys of the page do not apply
    if (event.key === "+" || event.key === "=") zoom(STEP);
    else if (event.key === "-") zoom(1 / STEP);
    else if (event.key === "0") set({ scale: 1, x: 0, y: 0 });
    else if (event.key in MOVES) move(...MOVES[event.key].map((one) => one * MOVE_PX));
    else return;
    event.preventDefault();
  };
  const cancel = (event) => { event.preventDefault(); event.stopPropagation(); close(); };
  return html`<dialog class="light" ref=${dialog} aria-label=${name} onCancel=${cancel} onKeyDown=${keys}>
    <div class=${view.scale > 1 ? "stage moved" : "stage"} onWheel=${wheel} onDblClick=${twice} onPointerDown=${down} onPointerMove=${drag} onPointerUp=${up} onPointerCancel=${up}>
      ${failed ? html`<p class="note">The picture cannot be shown in full.</p>`
        : html`<img src=${from} alt=${name} draggable=${false} onError=${fail} style=${{ transform: `translate(${view.x}px, ${view.y}px) scale(${view.scale})` }} />`}
    </div>
    <p class="tools">
      <button type="button" class="round" aria-label="Smaller" onClick=${() => zoom(1 / STEP)}><${Icon} name="minus" /></button>
      <span role="status">${Math.round(view.scale * 100)} %</span>
      <button type="button" class="round" aria-label="Larger" onClick=${() => zoom(STEP)}><${Icon} name="plus" /></button>
      <button type="button" class="round" aria-label="Close the picture" onClick=${close}><${Icon} name="close" /></button>
    </p>
  </dialog>`;
}
