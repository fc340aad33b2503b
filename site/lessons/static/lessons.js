// What Sphinx and its theme leave open, on each page of the lessons.

// Results of a search show the lines around what was found. A page opened as a file may not read its neighbours.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;

// Sphinx has no Japanese for this, and the theme none for its buttons.
if (document.documentElement.lang === "ja") {
  Documentation.addTranslations({
    locale: "ja",
    plural_expr: "0",
    messages: { "Search finished, found one page matching the search query.": ["${resultCount} か所で見つかりました。"] },
  });
  const labels = { "Toggle site navigation sidebar": "目次", "Toggle table of contents sidebar": "このページの内容", "Toggle Light / Dark / Auto color theme": "明るい／暗い／自動" };
  for (const [english, label] of Object.entries(labels)) {
    for (const element of document.querySelectorAll(`[aria-label="${english}"]`)) element.setAttribute("aria-label", label);
  }
}

for (const heading of document.querySelectorAll("p.caption[role=heading]")) heading.setAttribute("aria-level", "2");

// What scrolls is reached with the keyboard.
const reach = () => {
  for (const box of document.querySelectorAll("pre, .table-wrapper")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
  }
};
reach();
window.addEventListener("resize", reach);
document.addEventListener("toggle", reach, true);

// Pages that were read open without a network, as the lab does; its service worker keeps them.
if ("serviceWorker" in navigator && location.protocol.startsWith("http")) {
  const site = document.documentElement.lang === "ja" ? "../" : "../../";
  navigator.serviceWorker.register(`${site}service-worker.js`).catch(() => {
    // Plain HTTP from another machine: the browser allows none.
  });
}
