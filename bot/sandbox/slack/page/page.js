"use strict";
// Shows what the server renders and sends what people do. All HTML comes escaped from the server (render.py).

const byId = (id) => document.getElementById(id);
const query = new URLSearchParams(location.search);
const state = { user: query.get("user") || sessionStorage.getItem("user") || "U0JANE", place: query.get("place") || "C0ALERTS", thread: null, commands: [], names: [] };

async function get(path, parameters) {
  const answer = await fetch(`${path}?${new URLSearchParams({ user: state.user, ...parameters })}`);
  return answer.json();
}

async function act(name, body) {
  try {
    const answer = await fetch(`/ui/${name}`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ user: state.user, ...body }) });
    return await answer.json();
  } catch {
    return { status: "failed", text: "The sandbox does not answer. Is it still running?" };
  }
}

function toast(text) {
  const note = document.createElement("div");
  note.className = "toast";
  note.textContent = text;
  byId("toasts").append(note);
  setTimeout(() => note.remove(), 6000);
}

// ---- what is shown -------------------------------------------------------------------------------------------------

async function load(place = state.place) {
  const frame = await get("/ui/frame", { place });
  Object.assign(state, { user: frame.user.id, place, commands: frame.commands, names: frame.names });
  sessionStorage.setItem("user", state.user);
  byId("people").innerHTML = frame.people;
  byId("sidebar").innerHTML = frame.sidebar;
  byId("acting").textContent = `${frame.user.name}, ${frame.user.title}`;
  byId("title").textContent = frame.title;
  byId("topic").textContent = frame.topic;
  byId("messages").innerHTML = frame.html;
  byId("messages").classList.toggle("is-home", place === "home");
  byId("composer").hidden = place === "home";
  byId("composer").querySelector("textarea").placeholder = `Message ${frame.title}`;
  document.title = `${frame.title} · ${frame.user.name}`;
  for (const button of document.querySelectorAll(".place")) button.classList.toggle("current", button.dataset.place === place);
  showModal(frame.modal);
  toEnd(byId("messages"));
  remember();
  markRead();
}

function remember() {
  const parts = new URLSearchParams({ user: state.user, place: state.place });
  if (state.thread) parts.set("thread", state.thread);
  history.replaceState(null, "", `/?${parts}`);
}

async function openPlace(place) {
  closeThread();
  await load(place);
  if (place === "home") act("home", {});
}

async function openThread(ts) {
  const stick = atEnd(byId("messages"));
  state.thread = ts;
  byId("thread").hidden = false;
  byId("app").classList.add("with-thread");
  if (stick) toEnd(byId("messages"));
  const frame = await get("/ui/thread", { channel: state.place, ts });
  byId("thread-messages").innerHTML = frame.html;
  toEnd(byId("thread-messages"));
  remember();
}

function closeThread() {
  const stick = atEnd(byId("messages"));
  state.thread = null;
  byId("thread").hidden = true;
  byId("app").classList.remove("with-thread");
  if (stick) toEnd(byId("messages"));
  remember();
}

function toEnd(list) { list.scrollTop = list.scrollHeight; }
function atEnd(list) { return list.scrollHeight - list.scrollTop - list.clientHeight < 120; }
function markRead() {
  if (state.place === "home") return;
  act("read", { channel: state.place });
  badge(state.place, 0);
}

function badge(place, count) {
  const mark = document.querySelector(`.place[data-place="${place}"] .unread`);
  if (!mark) return;
  mark.textContent = count;
  mark.hidden = count === 0;
}

function fragment(html) {
  const holder = document.createElement("template");
  holder.innerHTML = html;
  return holder.content.firstElementChild;
}

// Replaces an element but keeps what is open in it and what was typed into it.
function swap(old, fresh) {
  const opened = [...old.querySelectorAll("details")].map((one) => one.open);
  const typed = new Map(controlsIn(old).map((one) => [`${one.dataset.block}|${one.dataset.action}`, one]));
  const focus = document.activeElement;
  const focused = old.contains(focus) ? `${focus.dataset.block}|${focus.dataset.action}` : null;
  fresh.querySelectorAll("details").forEach((one, index) => { if (opened[index] !== undefined) one.open = opened[index]; });
  for (const one of controlsIn(fresh)) {
    const before = typed.get(`${one.dataset.block}|${one.dataset.action}`);
    if (before && "value" in before && !one.multiple) one.value = before.value;
  }
  old.replaceWith(fresh);
  if (focused) controlsIn(fresh).find((one) => `${one.dataset.block}|${one.dataset.action}` === focused)?.focus();
}

function upsert(list, pane, ts, html) {
  const old = byId(`${pane}-${ts}`);
  if (!html) { old?.remove(); return; }
  const stick = atEnd(list);
  const fresh = fragment(html);
  if (old) swap(old, fresh);
  else {
    list.querySelector(".empty")?.remove();
    const after = [...list.querySelectorAll("article")].find((one) => Number(one.dataset.ts) > Number(ts));
    after ? after.before(fresh) : list.append(fresh);
    fresh.classList.add("fresh");
  }
  if (stick) toEnd(list);
}

function showMessage(event) {
  if (event.channel !== state.place) {
    if (event.counts) badge(event.channel, Number(document.querySelector(`.place[data-place="${event.channel}"] .unread`)?.textContent || 0) + 1);
    return;
  }
  upsert(byId("messages"), "channel", event.ts, event.channel_html);
  // What only you can see in a thread would be missed when that thread is closed.
  if (event.is_reply && event.ephemeral && state.thread !== event.thread) { openThread(event.thread); return; }
  if (state.thread === event.thread) {
    upsert(byId("thread-messages"), "thread", event.ts, event.thread_html);
    const rule = byId("thread-messages").querySelector(".replies-rule span");
    const count = byId("thread-messages").querySelectorAll("article:not(.ephemeral)").length - 1;
    if (rule) rule.textContent = count === 1 ? "1 reply" : `${count} replies`;
  }
  if (event.counts && document.visibilityState === "visible") markRead();
}

function showModal(html) {
  const dialog = byId("modal");
  if (!html) { dialog.close(); dialog.innerHTML = ""; return; }
  const fresh = fragment(html);
  const old = dialog.firstElementChild;
  if (old && old.dataset.view === fresh.dataset.view) swap(old, fresh);
  else dialog.replaceChildren(fresh);
  if (dialog.open && dialog.contains(document.activeElement)) return;
  if (!dialog.open) dialog.showModal();
  (controlsIn(dialog)[0] || dialog.querySelector(".primary"))?.focus();
}

function listen() {
  const stream = new EventSource(`/events?user=${state.user}`);
  let lost = false;
  stream.onerror = () => { lost = true; byId("app").classList.add("offline"); };
  stream.onopen = () => { byId("app").classList.remove("offline"); if (lost) { lost = false; load(); } };
  stream.onmessage = ({ data }) => {
    const event = JSON.parse(data);
    if (event.kind === "message") showMessage(event);
    else if (event.kind === "modal") showModal(event.html);
    else if (event.kind === "home" && state.place === "home") byId("messages").innerHTML = event.html;
    else if (event.kind === "panel") for (const [name, html] of Object.entries(event.parts)) byId(`part-${name}`).innerHTML = html;
  };
}

// ---- what people do ------------------------------------------------------------------------------------------------

function controlsIn(scope) { return [...scope.querySelectorAll("[data-action]:not(button):not(details)")]; }

function valueOf(control) {
  if (control.matches("fieldset")) {
    const chosen = [...control.querySelectorAll("input:checked")].map((one) => one.value);
    return control.dataset.kind === "checkboxes" ? chosen : chosen[0] ?? null;
  }
  if (control.multiple) return [...control.selectedOptions].map((one) => one.value);
  if (control.type === "datetime-local") return control.value ? Math.floor(new Date(control.value).getTime() / 1000) : null;
  return control.value || null;
}

function typedIn(scope) { return controlsIn(scope).map((one) => [one.dataset.block, one.dataset.action, valueOf(one)]); }

function confirmed(control) {
  if (!control.dataset.confirm) return Promise.resolve(true);
  const texts = JSON.parse(control.dataset.confirm);
  const dialog = byId("confirm");
  for (const part of dialog.querySelectorAll("[data-part]")) part.textContent = texts[part.dataset.part];
  dialog.querySelector('[data-part="text"]').innerHTML = texts.text;
  dialog.querySelector('[data-part="confirm"]').className = `button ${texts.style}`;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true }));
}

async function operate(control, value) {
  const scope = control.closest("article.message, [data-view]");
  const { block, action } = control.dataset;
  const typed = typedIn(scope);
  const view = scope.dataset.view;
  const { channel, ts } = scope.dataset;
  if (!(await confirmed(control))) return;
  if (control.dataset.url) window.open(control.dataset.url, "_blank", "noopener");
  control.classList.add("busy");
  const answer = view ? await act("operate", { view, block, action, value, typed }) : await act("click", { channel, ts, block, action, value, typed });
  control.classList.remove("busy");
  if (answer.status !== "ok") { control.classList.add("failed"); toast(answer.text || answer.status); }
}

document.addEventListener("click", (event) => {
  const hit = (selector) => event.target.closest(selector);
  let found;
  if ((found = hit(".place"))) openPlace(found.dataset.place);
  else if ((found = hit("[data-thread]"))) openThread(found.dataset.thread);
  else if ((found = hit("[data-copy]"))) { navigator.clipboard?.writeText(found.closest("article").querySelector(".time").href); toast("Link copied"); }
  else if ((found = hit("[data-close]"))) act("close", { view: found.closest("form").dataset.view });
  else if ((found = hit(".overflow menu button"))) { const menu = found.closest("details"); menu.open = false; operate(menu, found.dataset.value); }
  else if ((found = hit("button[data-acts]"))) { event.preventDefault(); operate(found, found.dataset.value ?? null); }
  else if ((found = hit("[data-tab]"))) showTab(found);
  else if ((found = hit(".menu button"))) choose(found);
  for (const menu of document.querySelectorAll("details.overflow[open]")) if (!menu.contains(event.target)) menu.open = false;
});

document.addEventListener("change", (event) => {
  const fault = event.target.closest("[data-fault]");
  if (fault) { act("faults", { name: fault.dataset.fault, on: fault.checked }); return; }
  const control = event.target.closest("[data-acts]");
  if (control && !control.matches("button")) operate(control, valueOf(control));
});

byId("modal").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  const button = form.querySelector('[type="submit"]');
  button.classList.add("busy");
  const answer = await act("submit", { view: form.dataset.view, typed: typedIn(form) });
  button.classList.remove("busy");
  const trouble = form.querySelector(".trouble");
  trouble.hidden = answer.status === "ok" || answer.status === "errors";
  trouble.textContent = answer.text;
});
byId("modal").addEventListener("cancel", (event) => {
  event.preventDefault();
  act("close", { view: byId("modal").firstElementChild.dataset.view });
});
byId("close-thread").addEventListener("click", closeThread);

// ---- composer with completion --------------------------------------------------------------------------------------

const escapeHtml = (text) => text.replace(/[&<>"]/g, (sign) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[sign]);

function suggestions(text, inThread) {
  if (!inThread && /^\/\S*$/.test(text)) {
    return state.commands.filter((one) => one.command.startsWith(text)).map((one) => ({ put: `${one.command} `, name: one.command, hint: one.usage_hint, about: one.description }));
  }
  const name = text.match(/(^|\s)(@[\w-]*)$/);
  if (!name) return [];
  return state.names.filter((one) => one.startsWith(name[2])).map((one) => ({ put: `${text.slice(0, text.length - name[2].length)}${one} `, name: one, hint: "", about: "" }));
}

function complete(form) {
  const box = form.querySelector("textarea");
  const menu = form.querySelector(".menu");
  const found = suggestions(box.value, form.id === "thread-composer");
  menu.hidden = found.length === 0;
  menu.innerHTML = found.map((one, index) => `<button type="button" class="${index ? "" : "current"}" data-put="${escapeHtml(one.put)}"><b>${escapeHtml(one.name)}</b><code>${escapeHtml(one.hint || "")}</code><small>${escapeHtml(one.about || "")}</small></button>`).join("");
  const typed = state.commands.find((one) => box.value.startsWith(`${one.command} `));
  const usage = form.querySelector(".usage");
  usage.dataset.first ??= usage.innerHTML;
  usage.innerHTML = typed ? `<code>${escapeHtml(`${typed.command} ${typed.usage_hint || ""}`)}</code>` : usage.dataset.first;
  box.style.height = "auto";
  box.style.height = `${Math.min(box.scrollHeight, 180)}px`;
}

function choose(button) {
  const form = button.closest("form");
  const box = form.querySelector("textarea");
  box.value = button.dataset.put;
  box.focus();
  complete(form);
}

async function send(form) {
  const box = form.querySelector("textarea");
  const text = box.value.trim();
  if (!text) return;
  box.value = "";
  complete(form);
  const thread = form.id === "thread-composer" ? state.thread : null;
  const answer = await act("type", { channel: state.place, thread, text });
  if (answer.status === "failed") toast(answer.text);
}

for (const form of [byId("composer"), byId("thread-composer")]) {
  const box = form.querySelector("textarea");
  box.addEventListener("input", () => complete(form));
  form.addEventListener("submit", (event) => { event.preventDefault(); send(form); });
  box.addEventListener("keydown", (event) => {
    const items = [...form.querySelectorAll(".menu:not([hidden]) button")];
    const at = items.findIndex((one) => one.classList.contains("current"));
    const move = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (items.length && move) {
      event.preventDefault();
      items[at].classList.remove("current");
      items[(at + move + items.length) % items.length].classList.add("current");
    } else if (items.length && (event.key === "Tab" || (event.key === "Enter" && items[at].dataset.put.trim() !== box.value.trim()))) {
      event.preventDefault();
      choose(items[at]);
    } else if (event.key === "Escape") form.querySelector(".menu").hidden = true;
    else if (event.key === "Enter" && !event.shiftKey) { event.preventDefault(); send(form); }
  });
}

// ---- right side ----------------------------------------------------------------------------------------------------

function showTab(button) {
  for (const one of document.querySelectorAll("[data-tab]")) {
    one.classList.toggle("current", one === button);
    byId(one.dataset.tab).hidden = one !== button;
  }
  refreshTraffic();
}

async function refreshTraffic() {
  const box = byId("traffic");
  if (box.hidden || box.querySelector("details[open]")) return;
  box.innerHTML = (await get("/ui/traffic", {})).html;
}
setInterval(refreshTraffic, 1500);

async function begin() {
  await load();
  listen();
  if (state.place === "home") act("home", {});
  if (query.get("thread")) await openThread(query.get("thread"));
  const target = query.get("ts") && (byId(`thread-${query.get("ts")}`) || byId(`channel-${query.get("ts")}`));
  if (target) { target.scrollIntoView({ block: "center" }); target.classList.add("found"); }
}
begin();
