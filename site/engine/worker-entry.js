/** What the worker's own script begins with: it is bundled, and lies in the page's script as text. */
import { serve } from "./worker.js";

serve(/** @type {any} */ (globalThis));
