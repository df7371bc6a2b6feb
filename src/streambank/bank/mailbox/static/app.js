"use strict";

const PAGE = 50;
const POLL_MS = 2000;
const state = { query: "", shown: PAGE, messages: [], current: null, view: "html", newest: null };
const $ = (id) => document.getElementById(id);

async function api(path, options) {
  const response = await fetch(path, options);
  if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
  return response;
}

function problem(error) {
  $("problem").hidden = !error;
  $("problem").textContent = error ? `The mailbox does not answer (${error.message})` : "";
}

function element(tag, className, text) {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

const when = (time) => new Date(time).toLocaleString([], { dateStyle: "medium", timeStyle: "medium" });
const people = (list) => list.map((p) => (p.Name ? `${p.Name} <${p.Address}>` : p.Address)).join(", ");

function row(message) {
  const button = element("button", "", "");
  button.type = "button";
  button.dataset.id = message.ID;
  if (message.ID === state.current) button.setAttribute("aria-current", "true");
  const top = element("span", "top", "");
  top.append(element("span", "", people([...message.To, ...message.Cc, ...message.Bcc])), element("time", "", when(message.Created)));
  const subject = element("span", message.Read ? "subject" : "subject unread", message.Subject || "(no subject)");
  if (!message.Read) subject.setAttribute("aria-label", `Unread: ${message.Subject}`);
  button.append(top, subject, element("span", "snippet", message.Snippet));
  const item = document.createElement("li");
  item.append(button);
  return item;
}

function draw(found) {
  const focused = document.activeElement?.dataset?.id;
  $("list").replaceChildren(...found.messages.map(row));
  if (focused) $("list").querySelector(`[data-id="${CSS.escape(focused)}"]`)?.focus();
  $("empty").hidden = found.messages.length > 0;
  $("more").hidden = found.messages_count <= found.messages.length;
  const count = `${found.messages_count} messages, ${found.messages_unread} unread`;
  if ($("count").textContent !== count) $("count").textContent = count;
  document.title = found.unread ? `(${found.unread}) Mailbox` : "Mailbox";
}

async function refresh() {
  const page = new URLSearchParams({ start: 0, limit: state.shown });
  if (state.query) page.set("query", state.query);
  try {
    const answer = await api(`/api/v1/${state.query ? "search" : "messages"}?${page}`);
    const text = await answer.text();
    if (text !== state.newest) {
      state.newest = text;
      draw(JSON.parse(text));
    }
    problem(null);
  } catch (error) {
    problem(error);
  }
}

async function open(id) {
  const message = await (await api(`/api/v1/message/${encodeURIComponent(id)}`)).json();
  state.current = id;
  state.view = message.HTML ? "html" : "text";
  $("subject").textContent = message.Subject || "(no subject)";
  $("fields").replaceChildren();
  for (const [name, value] of [["From", people([message.From])], ["To", people([...message.To, ...message.Cc])], ["Date", when(message.Date)]]) {
    $("fields").append(element("dt", "", name), element("dd", "", value));
  }
  $("message").hidden = false;
  document.body.classList.add("reading");
  await show();
  $("subject").focus();
  state.newest = null;
  await refresh();
}

async function show() {
  const id = encodeURIComponent(state.current);
  for (const tab of document.querySelectorAll("[data-view]")) tab.setAttribute("aria-pressed", String(tab.dataset.view === state.view));
  $("html").hidden = state.view !== "html";
  $("plain").hidden = state.view === "html";
  if (state.view === "html") {
    $("html").src = `/view/${id}.html`;
    return;
  }
  const path = { text: `/view/${id}.txt`, headers: `/api/v1/message/${id}/headers`, raw: `/api/v1/message/${id}/raw` }[state.view];
  const text = await (await api(path)).text();
  $("plain").textContent = state.view === "headers" ? Object.entries(JSON.parse(text)).flatMap(([n, vs]) => vs.map((v) => `${n}: ${v}`)).join("\n") : text;
}

$("list").addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button) open(button.dataset.id).catch(problem);
});
document.querySelector(".tabs").addEventListener("click", (event) => {
  const tab = event.target.closest("button");
  if (!tab) return;
  state.view = tab.dataset.view;
  show().catch(problem);
});
$("back").addEventListener("click", () => {
  document.body.classList.remove("reading");
  $("list").querySelector("[aria-current]")?.focus();
});
$("search").addEventListener("input", () => {
  state.query = $("search").value.trim();
  state.shown = PAGE;
  refresh();
});
$("more").addEventListener("click", () => {
  state.shown += PAGE;
  refresh();
});
$("read-all").addEventListener("click", async () => {
  try {
    await api("/api/v1/messages", { method: "PUT", body: JSON.stringify({ Read: true }) });
    await refresh();
  } catch (error) {
    problem(error);
  }
});
setInterval(() => {
  if (!document.hidden) refresh();
}, POLL_MS);
refresh();
