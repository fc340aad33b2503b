// The lab in the browser: opens the model, and brings text, settings, pictures and panes together.

import house from "house";

import { LoadError, openModel } from "../engine/model.js";
import { startBars } from "./bars.js";
import { openClassroom } from "./classroom.js";
import { startCompare } from "./compare.js";
import { startControls } from "./controls.js";
import { afterPause, byId, enable, fill, h } from "./dom.js";
import { Lab } from "./lab.js";
import { fromFragment } from "./link.js";
import { startPrompt } from "./prompt.js";
import { sentenceOf } from "./settings.js";
import { fragmentOf, startShare } from "./share.js";
import { startTexts } from "./texts.js";
import { startWay } from "./way.js";
import { getLanguage, say, setLanguage } from "./words.js";

const MEGABYTE = 1e6;
const NOTICE_SECONDS = 4;
// In milliseconds. Safari takes a hundred addresses in half a minute.
const ADDRESS_PAUSE = 300;
const DOUBLE_PRESS = 500;

const lab = new Lab();

// Language, theme, view

/** What a reader chose before; nothing where the browser keeps nothing for us. */
const memory = {
  /** @param {string} name */
  read(name) {
    try {
      return localStorage.getItem(`yukiguni.${name}`);
    } catch {
      return null;
    }
  },
  /**
   * @param {string} name
   * @param {string} value
   */
  write(name, value) {
    try {
      localStorage.setItem(`yukiguni.${name}`, value);
    } catch {
      // A private window: the choice holds for this visit.
    }
  },
};

function showWords() {
  document.documentElement.lang = getLanguage();
  document.title = `${say("title")} ${say("subtitle")}`;
  for (const element of document.querySelectorAll("[data-word]")) {
    element.textContent = say(/** @type {HTMLElement} */ (element).dataset.word ?? "");
  }
  for (const element of document.querySelectorAll("[data-name]")) {
    element.setAttribute("aria-label", say(/** @type {HTMLElement} */ (element).dataset.name ?? ""));
  }
  const other = byId("language");
  other.textContent = say("other_language");
  other.lang = getLanguage() === "ja" ? "en" : "ja";
  byId("lessons").href = `lessons/${getLanguage() === "en" ? "en/" : ""}index.html`;
  byId("more").textContent = say(isOpen() ? "less" : "more");
  if (lab.model) byId("about").textContent = aboutModel();
  nameModels();
  lab.tell("words");
}

/** @param {string} theme  "auto", "light" or "dark" */
function showTheme(theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  byId("theme").value = theme;
}

const isOpen = () => document.body.classList.contains("open");

byId("language").addEventListener("click", () => {
  setLanguage(getLanguage() === "ja" ? "en" : "ja");
  memory.write("language", getLanguage());
  showWords();
});
byId("theme").addEventListener("change", () => {
  showTheme(byId("theme").value);
  memory.write("theme", byId("theme").value);
});
byId("vertical").addEventListener("change", () => {
  document.body.classList.toggle("vertical", byId("vertical").checked);
  lab.tell("vertical");
});
byId("mask").addEventListener("change", () => {
  lab.masking = byId("mask").checked;
  lab.tell("mask");
});
byId("more").addEventListener("click", () => {
  const open = document.body.classList.toggle("open");
  byId("more").setAttribute("aria-expanded", String(open));
  byId("more").textContent = say(open ? "less" : "more");
  if (!open) window.scrollTo(0, 0);
  lab.tell("open");
});

// On a wide screen the panes lie below the texts, else at the end: moved, so that Tab goes as the eye does.
const wide = matchMedia("(min-width: 1100px)");
const placePanes = () => byId(wide.matches ? "right" : "left").append(byId("panes"));
wide.addEventListener("change", placePanes);
placePanes();

// Writing

const { catchUp } = startPrompt(lab);
let pressed = Number.NEGATIVE_INFINITY;
function write() {
  // The second of two quick presses wants no other text: it would throw away the one that has just begun.
  if (lab.writing && performance.now() - pressed < DOUBLE_PRESS) return;
  pressed = performance.now();
  catchUp();
  lab.write();
}
byId("write").addEventListener("click", write);
byId("stop").addEventListener("click", () => lab.stop());
lab.on("run written model", () => enable(byId("stop"), lab.writing, byId("write")));
// Ctrl + Enter in the prompt, for those who write.
byId("prompt").addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) write();
});

// Notices: a sentence for a while, or a box that stays until it is closed

/** @type {number | undefined} */
let fading;
lab.on("notice", ({ detail: { sentence, text, stays } }) => {
  clearTimeout(fading);
  const notice = h("div", { class: "notice" }, h("p", {}, sentence));
  const close = () => {
    notice.remove();
    byId("write").focus();
  };
  if (text !== undefined) {
    const area = h("textarea", { readonly: true, rows: 6, "aria-label": say("to_copy") });
    area.value = text;
    notice.append(area);
    setTimeout(() => area.select());
  }
  if (text === undefined && !stays) fading = setTimeout(() => notice.remove(), NOTICE_SECONDS * 1000);
  else notice.append(h("button", { type: "button", class: "small", onclick: close }, say("close")));
  byId("notices").append(notice);
});

// The state in the address: there a reload finds it, also of a tab that a tablet dropped; and as soon as something is
// changed, the link that led here is another address, so that opening it again is a change.

let inAddress = "";
const keep = afterPause(ADDRESS_PAUSE, () => {
  const fragment = fragmentOf(lab);
  if (fragment === inAddress) return;
  try {
    history.replaceState(null, "", fragment);
    inAddress = fragment;
  } catch {
    // The prompt is longer than the browser's addresses, or they changed too often: the last one stays.
  }
});
lab.on("draft settings mask vertical words", keep);

function readAddress() {
  const state = fromFragment(location.hash);
  if (state.language) setLanguage(state.language);
  lab.prompt = state.prompt;
  lab.chosen = state.chosen;
  lab.before = [];
  lab.focus = null;
  lab.settings = state.settings;
  lab.masking = state.masking;
  byId("mask").checked = state.masking;
  byId("vertical").checked = state.vertical;
  document.body.classList.toggle("vertical", state.vertical);
  lab.broken = state.broken;
  lab.key = state.key;
  lab.teacher = state.teacher;
  inAddress = fragmentOf(lab);
}

function tellBroken() {
  const sentences = lab.broken.map(([word, values]) => say(word, values));
  if (sentences.length) lab.tell("notice", { sentence: sentences.join(" "), stays: true });
}

window.addEventListener("hashchange", () => {
  const { key, teacher } = lab;
  readAddress();
  // Another model is opened with the page.
  if (lab.key !== key || lab.teacher !== teacher) {
    location.reload();
    return;
  }
  showWords();
  lab.tell("settings");
  lab.tell("draft");
  lab.tell("mask");
  byId("notices").replaceChildren();
  tellBroken();
  lab.write({ again: false });
});

// The model

let loadedSize = "";

/** @param {boolean} teacher  whether the link asks for the teacher's model */
async function start(teacher) {
  const megabytes = (/** @type {number} */ bytes) => (bytes / MEGABYTE).toFixed(1);
  const progress = byId("progress");
  document.body.classList.add("loading");
  progress.textContent = say("loading_first");
  /** @type {any} */
  let model;
  try {
    model = await openModel({
      onProgress: ({ loaded, total }) => {
        loadedSize = megabytes(total);
        progress.textContent = say("loading", { done: megabytes(loaded), total: loadedSize });
      },
    });
  } catch (error) {
    // What is no fault of a file (no memory, for example) is told as what it is.
    let sentence = sentenceOf(error);
    if (error instanceof LoadError) {
      const { file, reason = file } = error.values;
      sentence = say(error.code === "network" ? "loading_failed" : "loading_damaged", { file, reason });
    }
    fill(progress, sentence, " ", h("button", { type: "button", onclick: () => location.reload() }, say("reload")));
    if (!(error instanceof LoadError)) throw error;
    return;
  }
  document.body.classList.remove("loading");
  progress.textContent = "";
  models.here = model;
  take("here");
  if (lab.key) offerTeachers(teacher);
}

// The teacher's model, where the address has the key of a class's server

/** @type {Record<string, any>} */
const models = {};
const choice = byId("model");

/** @param {string} which  "here" or "class" */
function take(which) {
  choice.value = which;
  lab.useModel(models[which]);
  byId("about").textContent = aboutModel();
  lab.write({ again: false });
}

/** @param {boolean} atOnce */
async function offerTeachers(atOnce) {
  try {
    models.class = await openClassroom(lab.key);
  } catch (error) {
    lab.tell("notice", { sentence: sentenceOf(error), stays: true });
    return;
  }
  nameModels();
  byId("model-row").hidden = false;
  if (atOnce) take("class");
}

function nameModels() {
  if (!models.class) return;
  for (const option of choice.options) option.textContent = say(`model_${option.value}`, { name: models[option.value].info.name });
}

choice.addEventListener("change", () => {
  lab.teacher = choice.value === "class";
  take(choice.value);
  if (choice.value === "class") lab.tell("notice", { sentence: say("model_class_note", { name: lab.model.info.name }), stays: true });
});

function aboutModel() {
  const { name, kind } = lab.model.info;
  return kind === "server" ? say("model_class", { name }) : say("about", { model: name, size: loadedSize });
}

const remembered = memory.read("language") ?? (/^ja\b/i.test(navigator.language) ? "ja" : "en");
setLanguage(remembered === "en" ? "en" : "ja");
readAddress();
showTheme(memory.read("theme") ?? "auto");
startControls(lab);
startBars(lab);
startTexts(lab);
startCompare(lab);
startShare(lab);
startWay(lab);
byId("prompt").value = lab.prompt;
showWords();
tellBroken();
start(lab.teacher);

// A copy that was unpacked from the ZIP has none inside.
byId("stick").hidden = !location.protocol.startsWith("http");

// After the first visit the page opens without a network. Pages opened as files need no such thing.
if (location.protocol.startsWith("http")) {
  const register = async () => navigator.serviceWorker.register("service-worker.js");
  register().catch(() => {
    // Plain HTTP from another machine, or a window that keeps nothing: the browser allows none, the page works without.
  });
}
// For tests, and for curious readers in the console.
Object.assign(globalThis, { lab, house });
