// Preact, its hooks and htm: made by scripts/vendor_web.py.
import { h } from "./core.js";
import htm from "./htm.js";

export * from "./core.js";
export * from "./hooks.js";
export const html = htm.bind(h);
