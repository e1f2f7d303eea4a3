// Copying, and saying so.

let hiding = 0;

/** Say something to everybody: it is seen for a while, and read out. */
export function say(message) {
  const said = document.getElementById("said");
  said.textContent = "";
  clearTimeout(hiding);
  // A screen reader reads what changes: the same words twice are a change only with a pause between them.
  requestAnimationFrame(() => {
    said.textContent = message;
    hiding = setTimeout(() => { said.textContent = ""; }, 4000);
  });
}

/** Copy text, or show it where the browser does not let a page copy. */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    say("Copied");
  } catch {
    if (copiedTheOldWay(text)) say("Copied");
    else showToCopy(text);
  }
}

/** The citation of a button: its lines, and the link to the place in full. */
export function citationOf(button) {
  return `${button.dataset.copy}\n${new URL(button.dataset.link, location.href).href}`;
}

// Without https, as in a newsroom's own network, browsers have no clipboard for pages.
function copiedTheOldWay(text) {
  const before = document.activeElement;
  const box = boxOf(text);
  document.body.append(box);
  box.select();
  let worked = false;
  try {
    worked = document.execCommand("copy");
  } catch { /* then it is shown */ }
  box.remove();
  before?.focus({ preventScroll: true });
  return worked;
}

function showToCopy(text) {
  const dialog = document.createElement("dialog");
  dialog.className = "to-copy";
  const heading = document.createElement("h2");
  heading.textContent = "Copy this";
  const close = document.createElement("button");
  close.type = "button";
  close.textContent = "Close";
  close.addEventListener("click", () => dialog.close());
  const box = boxOf(text);
  box.className = "";
  dialog.append(heading, box, close);
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  box.select();
}

function boxOf(text) {
  const box = document.createElement("textarea");
  box.value = text;
  box.readOnly = true;
  box.rows = 8;
  box.className = "away";
  box.setAttribute("aria-label", "Citation");
  return box;
}
