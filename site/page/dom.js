// Elements from values. Everything a reader typed or a model wrote goes through `textContent`: it is text, never markup.

/**
 * An element with its attributes, properties and children.
 *
 * @param {string} tag  such as "button"; "svg:rect" makes an SVG element
 * @param {Record<string, any>} [attributes]  `class`, `aria-label`, ...; a function under `onclick` and the like listens;
 *   true sets an empty attribute; null, undefined and false leave it away; `style` takes an object of properties
 * @param {...(Node | string | number | null | undefined | false)} children  strings become text
 * @returns {any}
 */
export function h(tag, attributes = {}, ...children) {
  const element = tag.startsWith("svg:")
    ? document.createElementNS("http://www.w3.org/2000/svg", tag.slice(4))
    : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [key, v] of Object.entries(value)) element.style.setProperty(key, v);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  fill(element, ...children);
  return element;
}

/**
 * Replace what an element holds.
 *
 * @param {Element} element
 * @param {...(Node | string | number | null | undefined | false)} children
 */
export function fill(element, ...children) {
  const nodes = children.filter((child) => child !== null && child !== undefined && child !== false);
  element.replaceChildren(...nodes.map((child) => (child instanceof Node ? child : String(child))));
}

/**
 * Let a button be pressed, or not: then the focus, which would be lost with it, goes to another one.
 *
 * @param {HTMLButtonElement} button
 * @param {boolean} on
 * @param {HTMLElement} other
 */
export function enable(button, on, other) {
  if (!on && document.activeElement === button) other.focus();
  button.disabled = !on;
}

/**
 * The element of the page with this id, which the page's HTML promises.
 *
 * @param {string} id
 * @returns {any}
 */
export function byId(id) {
  const element = document.getElementById(id);
  if (!element) throw new Error(`index.html has no element #${id}`);
  return element;
}

/**
 * A function that runs `work` once before the next picture, however often it is asked to.
 *
 * @param {() => void} work
 * @returns {() => void}
 */
export function beforeNextFrame(work) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      work();
    });
  };
}

/**
 * A function that runs `work` when it has not been asked to for so many milliseconds.
 *
 * @param {number} milliseconds
 * @param {() => void} work
 * @returns {() => void}
 */
export function afterPause(milliseconds, work) {
  /** @type {number | undefined} */
  let timer;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(work, milliseconds);
  };
}
