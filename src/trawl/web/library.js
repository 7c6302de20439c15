// The library: its newest documents.

import { Home } from "./home.js";
import { html } from "./vendor/preact.js";

export const LibraryView = ({ refresh }) => html`<${Home} refresh=${refresh} />`;
