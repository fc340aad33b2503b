/** What the worker's own script begins with: it is bundled, and lies in the page's script as text. */
import { serve } from "./worker.js";

const scope = /** @type {any} */ (globalThis);
serve(scope);
scope.postMessage("ready");
