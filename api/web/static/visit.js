// Asking without leaving the page: the same address is fetched, and its <main> takes the place of this one. So there is
// one place that makes answers, the server; what is here are the states in between: waiting, busy, lost.

const SLOW_MS = 400;
const VERY_SLOW_MS = 4000;
const GIVE_UP_MS = 30_000;
const RETRIES = 3;
const MOST_KEPT = 20;

const kept = new Map(); // what was shown, by address: going back is instant, and asks nobody
let shown = here();
let running = null;

/** Ask and search in place, and go back and forth; to be called once. */
export function begin() {
  document.addEventListener("submit", (event) => {
    if (!event.target.matches("form[data-swap]")) return;
    event.preventDefault();
    visit(addressOf(event.target));
  });
  addEventListener("popstate", () => {
    if (here() === shown) return; // only the place in the page changed
    running?.abort();
    const before = kept.get(here());
    if (before) show(before, { isBack: true });
    else visit(location.href, { isBack: true });
  });
  const wait = document.querySelector("main").dataset.retryAfter;
  if (wait) tryAgain(location.href, Number(wait), { attempt: 0 });
}

/** Show what the server has at the address. */
export async function visit(address, { attempt = 0, isBack = false } = {}) {
  running?.abort();
  const mine = new AbortController();
  running = mine;
  const timers = wait(mine, attempt);
  try {
    const response = await fetch(address, { signal: mine.signal, headers: { Accept: "text/html" } });
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    if (running !== mine) return;
    const main = page.querySelector("main");
    if (!main) throw new Error(`status ${response.status} without a page`);
    if (response.status === 503 && attempt < RETRIES) {
      tryAgain(address, Number(response.headers.get("Retry-After")) || 2, { attempt, isBack });
    } else {
      show({ main, title: page.title, address: response.redirected ? response.url : address }, { isBack });
    }
  } catch {
    if (running === mine) lost(address, isBack);
  } finally {
    timers.forEach(clearTimeout);
    if (running === mine) document.querySelector("main").removeAttribute("aria-busy");
  }
}

function wait(mine, attempt) {
  if (attempt === 0) state("");
  const slow = () => {
    document.querySelector("main").setAttribute("aria-busy", "true");
    state("Reading the archive…");
  };
  return [
    setTimeout(slow, SLOW_MS),
    setTimeout(() => state("Still reading. Other questions may be waiting too…"), VERY_SLOW_MS),
    setTimeout(() => mine.abort(), GIVE_UP_MS),
  ];
}

function tryAgain(address, seconds, { attempt, isBack = false }) {
  const mine = new AbortController();
  running = mine;
  document.querySelector("main").removeAttribute("aria-busy");
  state(`Quoth is busy with other questions. Trying again in ${seconds} s (${attempt + 1} of ${RETRIES}).`);
  const timer = setTimeout(() => visit(address, { attempt: attempt + 1, isBack }), seconds * 1000);
  mine.signal.addEventListener("abort", () => clearTimeout(timer));
}

function lost(address, isBack) {
  state("Quoth cannot be reached. Your question is still here.", "Retry", () => visit(address, { isBack }));
}

function show({ main, title, address = here() }, { isBack }) {
  keep();
  if (!isBack) {
    const change = new URL(address, location.href).href === location.href ? "replaceState" : "pushState";
    history[change](null, "", address);
  }
  document.title = title;
  document.querySelector("main").replaceWith(main);
  main.removeAttribute("aria-busy");
  main.querySelectorAll("form").forEach((form) => form.reset());
  document.dispatchEvent(new Event("quoth:shown"));
  shown = here();
  // Read out from its heading on; where there is a box to type into and nothing else, that is the place to be.
  const heading = main.querySelector("h1[tabindex]");
  (heading ?? main.querySelector("#q") ?? main).focus({ preventScroll: true });
  if (!isBack) scrollTo(0, 0);
}

function keep() {
  state("");
  kept.delete(shown);
  kept.set(shown, { main: document.querySelector("main"), title: document.title });
  if (kept.size > MOST_KEPT) kept.delete(kept.keys().next().value);
}

function state(message, action, act) {
  const place = document.getElementById("state");
  if (!place) return;
  place.replaceChildren(message);
  place.classList.toggle("is-waiting", Boolean(message) && !action);
  place.classList.toggle("is-stuck", Boolean(action));
  if (!action) return;
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = action;
  button.addEventListener("click", act);
  place.append(" ", button);
}

/** The form as an address, without the boxes that are empty. */
function addressOf(form) {
  const address = new URL(form.action);
  for (const [name, value] of new FormData(form)) {
    if (value.trim()) address.searchParams.append(name, value.trim());
  }
  return address.href;
}

function here() {
  return location.pathname + location.search;
}
