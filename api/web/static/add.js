// Adding articles: files go one after another, with progress; what fails can be gone on with.

const results = document.getElementById("results");
const files = document.getElementById("files");
let waiting = [];
let sent = 0;
const counts = new Map();

if (results) begin();

function begin() {
  document.documentElement.classList.add("can-drop");
  document.getElementById("files-form").addEventListener("submit", (event) => {
    event.preventDefault();
    send([...files.files].map((file) => ({ name: file.name, fields: { files: file } })));
    event.target.reset();
  });
  const paste = document.getElementById("paste-form");
  paste.addEventListener("submit", async (event) => {
    event.preventDefault();
    const fields = Object.fromEntries(new FormData(paste));
    if (await send([{ name: fields.title || "The pasted text", fields }])) paste.reset();
  });
  document.getElementById("go-on").addEventListener("click", goOn);
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("dragenter", () => document.body.classList.add("dropping"));
  addEventListener("dragleave", (event) => { if (!event.relatedTarget) document.body.classList.remove("dropping"); });
  addEventListener("drop", takeDropped);
  addEventListener("beforeunload", (event) => { if (waiting.length) event.preventDefault(); });
}

function takeDropped(event) {
  event.preventDefault();
  document.body.classList.remove("dropping");
  if (!event.dataTransfer.files.length) return;
  files.files = event.dataTransfer.files;
  document.querySelector("#files-form button").focus();
}

/** Send each; true if none was refused. */
async function send(pieces) {
  if (!waiting.length) {
    sent = 0;
    counts.clear();
    document.getElementById("result-list").replaceChildren();
  }
  const isSending = waiting.length > 0;
  waiting.push(...pieces);
  return isSending ? false : goOn();
}

async function goOn() {
  document.getElementById("go-on").hidden = true;
  results.hidden = false;
  document.getElementById("working").hidden = false;
  results.scrollIntoView({ block: "nearest" });
  while (waiting.length) {
    progress();
    try {
      await sendOne(waiting[0]);
    } catch {
      stopped();
      return false;
    }
    waiting.shift();
    sent += 1;
  }
  document.getElementById("working").hidden = true;
  summary([...counts].map(([status, count]) => `${count} ${status}`).join(", ") + ".");
  return !counts.has("refused");
}

async function sendOne({ name, fields }) {
  const most = Number(files.dataset.maxBytes);
  if (fields.files?.size > most) {
    counted("refused", 1);
    list(refused(name, `It has more than ${Math.floor(most / 1e6)} MB: split it, or use quoth add.`));
    return;
  }
  const body = new FormData();
  for (const [field, value] of Object.entries(fields)) body.append(field, value);
  const response = await fetch("/add", { method: "POST", body });
  if (response.status === 429 || response.status === 503) {
    const seconds = Number(response.headers.get("Retry-After")) || 2;
    summary(`Quoth is busy. Going on with ${name} in ${seconds} s.`);
    await new Promise((done) => setTimeout(done, 1000 * seconds));
    return sendOne({ name, fields });
  }
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const items = [...page.querySelectorAll("#result-list li")];
  if (items.length) {
    for (const [status, count] of Object.entries(page.getElementById("summary").dataset)) counted(status, Number(count));
    items.forEach(list);
    return;
  }
  counted("refused", 1);
  list(refused(name, page.querySelector("main .message, main h1")?.textContent ?? `status ${response.status}`));
}

function counted(status, count) {
  if (count) counts.set(status, (counts.get(status) ?? 0) + count);
}

function list(item) {
  document.getElementById("result-list").append(item);
}

function refused(name, message) {
  const item = document.createElement("li");
  item.className = "refused";
  for (const [kind, words] of [["status", "refused"], ["name", name], ["message", message]]) {
    const part = document.createElement(kind === "name" ? "bdi" : "span");
    part.className = kind;
    part.textContent = words;
    item.append(part, " ");
  }
  return item;
}

function progress() {
  const bar = document.getElementById("progress");
  bar.max = sent + waiting.length;
  bar.value = sent;
  summary(`Adding ${sent + 1} of ${bar.max}: ${waiting[0].name}`);
}

function stopped() {
  summary(`Quoth cannot be reached. ${sent} of ${sent + waiting.length} were sent; what was added is safe.`);
  document.getElementById("go-on").hidden = false;
}

function summary(words) {
  document.getElementById("summary").textContent = words;
}
