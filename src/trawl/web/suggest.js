// Suggest metadata keys and values for the word at the end of the question.

import { get } from "./api.js";
import { html, useEffect, useRef, useState } from "./vendor/preact.js";

const MOST = 8;
const DELAY_MS = 120;
// The values of each key, as promises, in one version of the library.
const values = new Map();
let version = null;

// Return the word that is being written: {start, sign, key, value}; `value` is null before a colon.
function ending(text) {
  const found = /(^|\s)([+-]?)([\p{L}_][\p{L}\p{N}_.]*)(?::("?)([^"\s]*))?$/u.exec(text);
  if (!found) return null;
  const [whole, space, sign, key, quote, value] = found;
  return { start: found.index + whole.indexOf(space) + space.length, sign, key, value: value === undefined ? null : value, quote };
}

async function suggested(text, stats) {
  const { columns } = stats;
  const word = ending(text);
  if (!word) return [];
  const begins = (one, part) => String(one).toLowerCase().startsWith(part.toLowerCase());
  const before = text.slice(0, word.start) + word.sign;
  if (word.value === null) {
    if (word.key.length < 2) return [];
    return Object.keys(columns).filter((name) => begins(name, word.key)).slice(0, MOST)
      .map((name) => ({ text: `${before}${name}:`, shown: `${name}:`, about: columns[name] }));
  }
  if (!(word.key in columns)) return [];
  if (version !== stats.version) values.clear();
  version = stats.version;
  if (!values.has(word.key)) {
    values.set(word.key, get("v1/facets", { key: word.key, limit: 200 }).then((body) => body.facets[0].counts));
    values.get(word.key).catch(() => values.delete(word.key));
  }
  const counts = await values.get(word.key);
  const written = (one) => (typeof one === "string" && !/^[\p{L}\p{N}_.-]+$/u.test(one) ? `"${one.replace(/["\\]/g, "\\$&")}"` : String(one));
  return counts.filter((one) => begins(one.value, word.value)).slice(0, MOST)
    .map((one) => ({ text: `${before}${word.key}:${written(one.value)} `, shown: String(one.value), about: `${one.count}` }));
}

// Return {attributes, list, close} of a combobox for the field `words`, which has `text`.
export function useSuggestions(words, text, write, stats) {
  const [ones, set] = useState([]);
  const [at, move] = useState(-1);
  const opened = useRef(text); // the question of the address, which nobody is writing
  const known = Boolean(stats);
  useEffect(() => {
    if (document.activeElement !== words.current || !known || text === opened.current) return undefined;
    opened.current = null;
    let stopped = false;
    const timer = setTimeout(() => {
      suggested(text, stats).then((found) => {
        if (stopped) return;
        set(found.filter((one) => one.text.trim() !== text.trim()));
        move(-1);
      }, () => set([]));
    }, DELAY_MS);
    return () => {
      clearTimeout(timer);
      stopped = true;
    };
  }, [text, known]);
  const close = () => { set([]); move(-1); };
  const take = (one) => {
    write(one.text);
    close();
    words.current.focus();
  };
  const onKeyDown = (event) => {
    if (!ones.length) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const step = event.key === "ArrowDown" ? 1 : -1;
      move(((at + 1 + step + ones.length + 1) % (ones.length + 1)) - 1);
    } else if ((event.key === "Enter" || event.key === "Tab") && ones[at]) take(ones[at]);
    else if (event.key === "Escape") close();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const open = ones.length > 0;
  return {
    close,
    attributes: {
      role: "combobox", "aria-autocomplete": "list", "aria-expanded": String(open), "aria-controls": "suggestions",
      "aria-activedescendant": ones[at] ? `suggestion-${at}` : null, onKeyDown, onBlur: () => setTimeout(close, 150),
    },
    list: html`<ul id="suggestions" role="listbox" aria-label="Suggestions" hidden=${!open}>${ones.map((one, index) => html`
      <li id=${`suggestion-${index}`} key=${one.text} role="option" aria-selected=${String(index === at)} onPointerDown=${(event) => { event.preventDefault(); take(one); }}>
        ${one.shown} <span class="count">${one.about}</span></li>`)}</ul>`,
  };
}
