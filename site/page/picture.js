// A text with its settings and seed as a picture: drawn here, saved by the browser.

import house from "house";

import { h } from "./dom.js";
import { markLabel, pieceText, SURPRISE, surprise } from "./look.js";
import { coveredPieces } from "./mask.js";
import { inOneLine } from "./settings.js";
import { describeRun } from "./share.js";
import { say } from "./words.js";

const WIDTH = 1080;
const MARGIN = 60;
const SIZE = 36;
const LINE = 66;
const SMALL = 22;
const FONT = '"Hiragino Mincho ProN", "Yu Mincho", "Noto Serif CJK JP", serif';
const SMALL_FONT = 'system-ui, "Noto Sans CJK JP", sans-serif';

/**
 * Draw a text of a run, on light paper whatever the page's theme is: it will be printed or pasted.
 *
 * @param {import("./lab.js").Lab} lab
 * @param {import("./lab.js").Run} run
 * @param {number} number  of the sequence
 * @returns {HTMLCanvasElement}
 */
export function drawPicture(lab, run, number) {
  const sequence = run.sequences[number];
  const canvas = h("canvas", { width: WIDTH, height: 100 });
  const pen = canvas.getContext("2d");
  const start = run.promptIds.length;

  // Characters with the mark of their token, broken into lines.
  const pieces = [lab.model.decode(sequence.tokenIds.slice(0, start)), ...sequence.steps.map(({ tokenId }) => pieceText(lab.model, tokenId))];
  const words = coveredPieces(lab, pieces).map((text, i) => ({ text, level: i ? surprise(sequence.steps[i - 1].raw) : -1 }));
  const font = (/** @type {number} */ level) => `${level < 0 ? "bold " : ""}${SIZE}px ${FONT}`;
  /** @type {{ text: string, level: number, x: number, width: number, line: number }[]} */
  const placed = [];
  let x = MARGIN;
  let line = 0;
  for (const { text, level } of words) {
    pen.font = font(level);
    for (const character of text) {
      const { width } = pen.measureText(character);
      // A full stop or comma may hang over the edge: it does not begin a line.
      if (x + width > WIDTH - MARGIN && !"。、」』）".includes(character)) {
        x = MARGIN;
        line++;
      }
      placed.push({ text: character, level, x, width, line });
      x += width;
    }
  }

  pen.font = `${SMALL}px ${SMALL_FONT}`;
  const notes = [...describeRun(lab, run, number).slice(1), inOneLine(run.settings)].flatMap((note) => wrapped(pen, note, WIDTH - 2 * MARGIN));
  const textTop = MARGIN;
  const notesTop = textTop + (line + 1) * LINE + 30;
  const legendTop = notesTop + notes.length * 34 + 16;
  canvas.height = legendTop + 50 + MARGIN / 2;

  pen.fillStyle = "#fffdf8";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.textBaseline = "alphabetic";
  for (const { text, level, x: left, width, line: row } of placed) {
    const baseline = textTop + row * LINE + SIZE;
    if (level >= 0) {
      pen.fillStyle = SURPRISE[level].background;
      pen.fillRect(left, baseline - SIZE, width + 0.5, SIZE * 1.28);
      underline(pen, SURPRISE[level].underline, left, baseline + 10, width);
    }
    pen.font = font(level);
    pen.fillStyle = house.look.text;
    pen.fillText(text, left, baseline);
  }

  pen.font = `${SMALL}px ${SMALL_FONT}`;
  pen.fillStyle = "#444";
  for (const [i, note] of notes.entries()) pen.fillText(note, MARGIN, notesTop + 24 + i * 34);
  let left = MARGIN;
  for (const [level, { background, underline: style }] of SURPRISE.entries()) {
    const label = markLabel(level);
    const { width } = pen.measureText(label);
    pen.fillStyle = background;
    pen.fillRect(left, legendTop, width + 20, 36);
    underline(pen, style, left + 10, legendTop + 31, width);
    pen.fillStyle = house.look.text;
    pen.fillText(label, left + 10, legendTop + 25);
    left += width + 36;
  }
  return canvas;
}

/**
 * @param {CanvasRenderingContext2D} pen
 * @param {string} style  as CSS names underlines
 * @param {number} x
 * @param {number} y
 * @param {number} width
 */
function underline(pen, style, x, y, width) {
  if (style === "none") return;
  pen.save();
  pen.strokeStyle = "#555";
  pen.lineWidth = 2;
  if (style === "dotted") pen.setLineDash([2, 4]);
  if (style === "dashed") pen.setLineDash([8, 5]);
  pen.beginPath();
  pen.moveTo(x, y);
  if (style === "wavy") for (let i = 0; i <= width; i += 3) pen.lineTo(x + i, y + 2.5 * Math.sin((x + i) / 3));
  else pen.lineTo(x + width, y);
  pen.stroke();
  pen.restore();
}

/**
 * @param {CanvasRenderingContext2D} pen
 * @param {string} text
 * @param {number} width
 */
function wrapped(pen, text, width) {
  const lines = [""];
  for (const word of text.match(/[^ -~]|[!-~]+ ?| /gu) ?? []) {
    if (lines[lines.length - 1] && pen.measureText(lines[lines.length - 1] + word).width > width) lines.push("");
    lines[lines.length - 1] += word;
  }
  return lines;
}

/**
 * Save a text of a run as a PNG file.
 *
 * @param {import("./lab.js").Lab} lab
 * @param {import("./lab.js").Run} run
 * @param {number} number
 */
export function savePicture(lab, run, number) {
  const name = `yukiguni-seed${run.settings.seed}-${number + 1}.png`;
  drawPicture(lab, run, number).toBlob((blob) => {
    if (!blob) {
      lab.tell("notice", { sentence: say("picture_failed") });
      return;
    }
    const address = URL.createObjectURL(blob);
    const link = h("a", { href: address, download: name });
    document.body.append(link);
    link.click();
    link.remove();
    // Not at once: the browser is still reading it.
    setTimeout(() => URL.revokeObjectURL(address), 60_000);
    lab.tell("notice", { sentence: say("picture_saved", { name }) });
  }, "image/png");
}
