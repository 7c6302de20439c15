// Keys: / question, arrows between results, Enter opens, Space plays, Esc goes back.

import { toggle } from "./media.js";
import { neighbour, openers } from "./navigation.js";

const MOVES = { ArrowDown: 1, ArrowUp: -1, ArrowRight: 1, ArrowLeft: -1 };
const words = () => document.getElementById("words");

export function install() {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const { target } = event;
    const typing = target.matches("input, textarea, select, audio, video, canvas, [contenteditable]");
    const help = document.getElementById("help");
    if (document.querySelector("#detail[open]")) moveDetail(event, typing);
    else if (document.querySelector("dialog[open]")) return;
    else if (event.key === "/" && !typing) {
      event.preventDefault();
      words().focus();
      words().select();
    } else if (event.key === "Escape") {
      if (help.open) help.open = false;
      else if (target !== words()) words().focus();
    } else if (event.key === " " && target.closest(".hit .open")) {
      if (toggle(target.closest(".hit"))) event.preventDefault();
    } else if (event.key in MOVES && (!typing || (target === words() && event.key === "ArrowDown"))) move(event);
  });
}

function move(event) {
  const hits = openers();
  const { target } = event;
  const at = hits.indexOf(target.closest(".hit")?.querySelector(".open"));
  if (at < 0 && target !== words() && target !== document.body && target.id !== "results") return;
  const to = at < 0 ? (MOVES[event.key] > 0 ? 0 : -1) : at + MOVES[event.key];
  event.preventDefault();
  if (to < 0) words().focus();
  else hits[to]?.focus();
}

// Left and right show the neighbouring results.
function moveDetail(event, typing) {
  if (typing || !["ArrowLeft", "ArrowRight"].includes(event.key)) return;
  if (neighbour(MOVES[event.key])) event.preventDefault();
}
