/**
 * Keeps the site for the time without a network. The builder writes the four values; it is no module and is not bundled.
 * The model's data have a hash in their address, never change, and are put into their cache by the page (data.js).
 */
const FILES = __FILES__;
const CACHE = `yukiguni-${__VERSION__}`;
const DATA_CACHE = "yukiguni-data";
const LESSONS_CACHE = "yukiguni-lessons";
const LISTED = new Set(FILES.map((file) => new URL(file, self.registration.scope).pathname));
const DATA = new URL(__DATA__, self.registration.scope).href;
const DATA_FILES = __DATA_FILES__;

self.addEventListener("install", (event) => {
  event.waitUntil(
    (async () => {
      const cache = await caches.open(CACHE);
      await cache.addAll(FILES.map((file) => new Request(file, { cache: "no-cache" })));
      // A new model: where the old one is kept, the new page too must open without a network. On a first visit the page
      // brings the data itself.
      const data = await caches.open(DATA_CACHE);
      const kept = await data.keys();
      if (kept.length && !kept.some(({ url }) => url.startsWith(DATA))) await data.addAll(DATA_FILES.map((file) => DATA + file));
      await self.skipWaiting();
    })(),
  );
});

self.addEventListener("activate", (event) => {
  event.waitUntil(
    (async () => {
      const old = (await caches.keys()).filter((name) => name.startsWith("yukiguni-") && ![CACHE, DATA_CACHE, LESSONS_CACHE].includes(name));
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
      const listed = LISTED.has(new URL(request.url).pathname);
      const cache = await caches.open(listed ? CACHE : LESSONS_CACHE);
      // Settings in the address are the page's own business: the page is the same.
      const known = () => cache.match(request, { ignoreSearch: request.mode === "navigate" });
      if (listed) return (await known()) ?? fetch(request);
      // What is not on the list (the lessons) is asked for, and kept as it was seen last.
      try {
        const response = await fetch(request);
        // A full disk is no reason to show nothing.
        if (response.ok && !request.url.endsWith(".zip")) await cache.put(request, response.clone()).catch(() => {});
        return response;
      } catch (error) {
        const kept = await known();
        if (kept) return kept;
        throw error;
      }
    })(),
  );
});
