/**
 * Keeps the site for the time without a network. The builder writes the three values; it is no module and is not bundled.
 * The model's data have a hash in their address, never change, and are put into their cache by the page (data.js).
 */
const FILES = __FILES__;
const CACHE = `yukiguni-${__VERSION__}`;
const DATA_CACHE = "yukiguni-data";
const LISTED = new Set(FILES.map((file) => new URL(file, self.registration.scope).pathname));
const DATA = new URL(__DATA__, self.registration.scope).href;

self.addEventListener("install", (event) => {
  const files = FILES.map((file) => new Request(file, { cache: "no-cache" }));
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(files)).then(() => self.skipWaiting()));
});

self.addEventListener("activate", (event) => {
  event.waitUntil(
    (async () => {
      const old = (await caches.keys()).filter((name) => name.startsWith("yukiguni-") && ![CACHE, DATA_CACHE].includes(name));
      await Promise.all(old.map((name) => caches.delete(name)));
      const data = await caches.open(DATA_CACHE);
      for (const request of await data.keys()) if (!request.url.startsWith(DATA)) await data.delete(request);
      await self.clients.claim();
    })(),
  );
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method !== "GET" || !request.url.startsWith(self.registration.scope) || request.url.startsWith(DATA)) return;
  event.respondWith(
    (async () => {
      const cache = await caches.open(CACHE);
      // Settings in the address are the page's own business: the page is the same.
      const known = () => cache.match(request, { ignoreSearch: request.mode === "navigate" });
      if (LISTED.has(new URL(request.url).pathname)) return (await known()) ?? fetch(request);
      // What is not on the list (the lessons) is asked for, and kept as it was seen last.
      try {
        const response = await fetch(request);
        if (response.ok && !request.url.endsWith(".zip")) await cache.put(request, response.clone());
        return response;
      } catch (error) {
        const kept = await known();
        if (kept) return kept;
        throw error;
      }
    })(),
  );
});
