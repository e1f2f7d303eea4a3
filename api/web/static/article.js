// An article: the place that the address names is marked, and what is marked or selected can be cited.
import { copyText } from "./copy.js";
import { charactersOf, spanOf, unitsOf } from "./offsets.js";

const MAX_QUOTE_SHOWN = 90;
const SETTLED_MS = 120;
const text = document.getElementById("text");
const bar = document.getElementById("cite");
const nAll = Number(text.dataset.chars);
let choosing = 0;
let cited = null; // the span that the bar offers, with its quote

markAddressed();
addEventListener("hashchange", markAddressed);
document.addEventListener("selectionchange", () => {
  clearTimeout(choosing);
  choosing = setTimeout(offerSelection, SETTLED_MS);
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") offer(null);
});
document.getElementById("cite-copy").addEventListener("click", () => copyText(citation(cited)));
document.getElementById("cite-close").addEventListener("click", () => offer(null));

function markAddressed() {
  const span = spanOf(location.hash);
  if (!span) return;
  unmark();
  const marks = slicesOf(span).map(mark);
  document.getElementById("no-place").hidden = marks.length > 0;
  offer(marks.length ? cut(span) : null);
  if (!marks.length) return;
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches || text.matches(".huge");
  marks[0].tabIndex = -1;
  marks[0].focus({ preventScroll: true });
  marks[0].scrollIntoView({ block: "center", behavior: calm ? "instant" : "smooth" });
}

function unmark() {
  for (const old of text.querySelectorAll("mark")) {
    const paragraph = old.parentNode;
    old.replaceWith(...old.childNodes);
    paragraph.normalize();
  }
}

/** The parts of paragraphs that hold characters [start, end), from and to in UTF-16 units; gaps between them hold none. */
function slicesOf({ start, end }) {
  const paragraphs = text.children;
  const slices = [];
  for (let i = firstFrom(paragraphs, start); i < paragraphs.length && startOf(paragraphs[i]) < end; i += 1) {
    const words = paragraphs[i].textContent;
    const from = unitsOf(words, start - startOf(paragraphs[i]));
    const to = unitsOf(words, end - startOf(paragraphs[i]));
    if (from < to) slices.push({ paragraph: paragraphs[i], words, from, to });
  }
  return slices;
}

function mark({ paragraph, from, to }) {
  const range = document.createRange();
  range.setStart(paragraph.firstChild, from);
  range.setEnd(paragraph.firstChild, to);
  const marked = document.createElement("mark");
  range.surroundContents(marked);
  return marked;
}

/** The span without blanks at its ends, and its quote; null if there is nothing else in it. */
function cut(span) {
  const parts = slicesOf(span).map((slice) => ({ ...slice, said: slice.words.slice(slice.from, slice.to) }));
  const filled = parts.filter(({ said }) => said.trim());
  if (!filled.length) return null;
  const first = filled[0];
  const last = filled[filled.length - 1];
  const begins = first.from + first.said.length - first.said.trimStart().length;
  const ends = last.from + last.said.trimEnd().length;
  return {
    start: startOf(first.paragraph) + charactersOf(first.words.slice(0, begins)),
    end: startOf(last.paragraph) + charactersOf(last.words.slice(0, ends)),
    quote: filled.map(({ said }) => said).join("\n\n").trim(),
  };
}

/** The last paragraph that begins at or before the character. */
function firstFrom(paragraphs, character) {
  let low = 0;
  let high = paragraphs.length - 1;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (startOf(paragraphs[middle]) <= character) low = middle;
    else high = middle - 1;
  }
  return low;
}

function startOf(paragraph) {
  return Number(paragraph.dataset.start);
}

function offerSelection() {
  const selection = getSelection();
  if (!selection.rangeCount || selection.isCollapsed) return;
  const range = selection.getRangeAt(0);
  if (!text.contains(range.startContainer) || !text.contains(range.endContainer)) return;
  const start = placeOf(range.startContainer, range.startOffset);
  const end = placeOf(range.endContainer, range.endOffset);
  const chosen = start < end && cut({ start, end });
  if (chosen) offer(chosen);
}

/** How many characters of the article come before a place in the page. */
function placeOf(node, offset) {
  const element = node.nodeType === Node.TEXT_NODE ? node.parentElement : node;
  const paragraph = element.closest("[data-start]");
  if (!paragraph) { // between paragraphs
    const next = text.children[offset];
    return next ? startOf(next) : nAll;
  }
  const before = document.createRange();
  before.setStart(paragraph, 0);
  before.setEnd(node, offset);
  return startOf(paragraph) + charactersOf(before.toString());
}

function offer(span) {
  cited = span;
  bar.hidden = !span;
  if (!span) return;
  const short = span.quote.length > MAX_QUOTE_SHOWN ? `${span.quote.slice(0, MAX_QUOTE_SHOWN)}…` : span.quote;
  document.getElementById("cite-quote").textContent = `“${short}”`;
  document.getElementById("cite-place").textContent = `characters ${span.start}–${span.end}`;
}

function citation({ start, end, quote }) {
  const place = `Characters ${start} to ${end} of the text with SHA-256 ${text.dataset.sha256}`;
  const link = new URL(`#${start}-${end}`, location.href).href;
  return [`“${quote}”`, text.dataset.facts, place, link].join("\n");
}
