// The map of the library.

import { State } from "./states.js";
import { html } from "./vendor/preact.js";

export const MapView = () => html`<${State} title="No map yet" />`;
