/**
 * The files of the model: over HTTP, or, where a page was opened by a double click (file://) and may not fetch, as scripts
 * that hold the same bytes in base64. What came over HTTP is kept for the time without a network.
 */

/** Its entries have a hash in their address and so never change. Named in service-worker.js too. */
const CACHE = "yukiguni-data";

/** A file of the model that cannot be fetched (`"network"`), or is not what it should be (`"damaged"`). */
export class LoadError extends Error {
  /** @param {"network" | "damaged"} code @param {Record<string, unknown>} values */
  constructor(code, values) {
    super(`${code}: ${JSON.stringify(values)}`);
    this.name = "LoadError";
    this.code = code;
    this.values = values;
  }
}

/** @type {Map<string, (text: string) => void>} */
const waiting = new Map();
// What the scripts call.
Object.assign(globalThis, { yukiguniData: (/** @type {string} */ name, /** @type {string} */ text) => waiting.get(name)?.(text) });

/** @param {string} text base64 */
function fromBase64(text) {
  const characters = atob(text), bytes = new Uint8Array(characters.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = characters.charCodeAt(i);
  return bytes.buffer;
}

/** @param {string} base @param {string} name @returns {Promise<ArrayBuffer>} */
function fromScript(base, name) {
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    waiting.set(name, (text) => resolve(fromBase64(text)));
    script.onerror = () => reject(new LoadError("network", { file: name }));
    script.onload = () => {
      script.remove();
      waiting.delete(name);
      // After a script that ran well this comes too late to matter.
      reject(new LoadError("damaged", { file: name }));
    };
    script.src = `${base}${name}.js`;
    document.head.append(script);
  });
}

/**
 * The body of a response, told of as it comes.
 * @param {Response} response @param {(bytes: number) => void} progress @returns {Promise<ArrayBuffer>}
 */
async function body(response, progress) {
  if (!response.body) return response.arrayBuffer();
  const reader = response.body.getReader(), parts = [];
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    length += value.length;
    progress(length);
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes.buffer;
}

/** Where files are kept; null on pages that did not come safely (https, localhost), and where the browser keeps nothing. */
async function openCache() {
  try {
    return await caches.open(CACHE);
  } catch {
    return null;
  }
}

/**
 * @param {string} base the folder, with `/` at its end @param {string} name @param {number} bytes how many it has
 * @param {(bytes: number) => void} [progress] how many have come
 * @returns {Promise<ArrayBuffer>} @throws {LoadError}
 */
export async function loadFile(base, name, bytes, progress = () => {}) {
  if (!location.protocol.startsWith("http")) return fromScript(base, name);
  const address = base + name, cache = await openCache();
  // What was kept and cannot be read any more is as good as not kept.
  const kept = await cache?.match(address).then((known) => known && body(known, progress)).catch(() => undefined);
  if (kept?.byteLength === bytes) return kept;
  try {
    // What has another length was cut off, or is a login page in its place. The browser may keep it too: past that, once.
    for (const mode of /** @type {RequestCache[]} */ (kept ? ["reload"] : ["default", "reload"])) {
      const response = await fetch(address, { cache: mode });
      // A copy that was made for double clicks, on a server after all, holds the scripts only.
      if (response.status === 404) return await fromScript(base, name);
      if (!response.ok) throw new LoadError("network", { file: name, status: response.status });
      const found = await body(response, progress);
      if (found.byteLength !== bytes) continue;
      // A full disk is no reason to stop: the page works, and loads again next time.
      await cache?.put(address, new Response(found.slice(0))).catch(() => {});
      return found;
    }
    throw new LoadError("damaged", { file: name });
  } catch (error) {
    if (error instanceof TypeError) throw new LoadError("network", { file: name });
    throw error;
  }
}
