// What every page has: asking in place, copying, dialogs, and the key "/".
import { citationOf, copyText } from "./copy.js";
import { begin } from "./visit.js";

begin();
document.addEventListener("quoth:shown", offer);
offer();

/** Show what works with scripts only. */
function offer() {
  document.querySelectorAll("button.copy").forEach((button) => { button.hidden = false; });
}

document.addEventListener("click", (event) => {
  const copy = event.target.closest("button[data-copy]");
  if (copy) copyText(citationOf(copy));
  const opener = event.target.closest("a[data-dialog]");
  const dialog = opener && document.getElementById(opener.dataset.dialog);
  if (dialog) {
    event.preventDefault();
    dialog.showModal();
  }
  if (event.target.closest("[data-close]") || event.target.matches("dialog")) event.target.closest("dialog").close();
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.matches("input, textarea, select, [contenteditable]")) return;
  event.preventDefault();
  const box = document.getElementById("q");
  if (!box) location.assign("/");
  else {
    box.focus();
    box.select();
  }
});
