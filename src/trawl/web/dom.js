// Make elements. Text is always a text node, so that nothing in a document can be markup.

export function h(tag, given = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "class") element.className = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "vars") for (const [key, one] of Object.entries(value)) element.style.setProperty(key, one);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((one) => one !== null && one !== undefined && one !== false && one !== ""));
  return element;
}

const SVG = "http://www.w3.org/2000/svg";
const PATHS = {
  text: "M5 3h10l4 4v14H5zM9 11h6M9 15h6",
  image: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4",
  audio: "M4 10v4M8 6v12M12 9v6M16 4v16M20 10v4",
  close: "M6 6l12 12M18 6 6 18",
};

export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  const path = document.createElementNS(SVG, "path");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  path.setAttribute("d", PATHS[name] ?? PATHS.text);
  svg.append(path);
  return svg;
}

export const $ = (id) => document.getElementById(id);
