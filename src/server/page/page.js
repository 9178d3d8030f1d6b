// The page without a reload: it is fetched again when the server says that something was committed,
// and <main> is exchanged. Without this script everything works with reloads.
(() => {
  "use strict";
  const script = document.currentScript;
  const main = () => document.querySelector("main");
  const live = document.getElementById("live");
  let shown = main().innerHTML, busy = false, again = false, held = false, saidAt = -Infinity;

  // Nobody loses what they type or have open.
  const typing = () => {
    const at = document.activeElement;
    if (!at || !main().contains(at)) return false;
    return at.matches("select") || (at.matches("input:not([type=hidden])") && at.value !== at.defaultValue);
  };

  function show(text) {
    const page = new DOMParser().parseFromString(text, "text/html");
    const fresh = page.querySelector("main");
    if (!fresh) return;
    document.title = page.title;
    if (fresh.innerHTML === shown) return;
    const at = document.activeElement, id = main().contains(at) ? at.id : null;
    const row = at && at.closest ? at.closest("[data-incident]") : null, incident = row && row.dataset.incident;
    const open = [...main().querySelectorAll("details[open][id]")].map((one) => one.id);
    const typed = [...main().querySelectorAll("input[id], select[id]")].map((one) => [one.id, one.value, one.defaultValue]);
    const scroll = window.scrollY;
    shown = fresh.innerHTML;
    // What was said stays for a moment, also when the list changes meanwhile.
    const said = main().querySelector(":scope > .said"), news = fresh.querySelector(":scope > .said");
    if (news) saidAt = performance.now();
    else if (said && performance.now() - saidAt < 8000) fresh.prepend(said);
    main().replaceChildren(...document.adoptNode(fresh).childNodes);
    for (const one of open) document.getElementById(one)?.setAttribute("open", "");
    for (const [one, value, before] of typed) {
      const field = document.getElementById(one);
      if (field && value !== before && field.matches("input")) field.value = value;
    }
    const back = (id && document.getElementById(id)) || (incident && main().querySelector(`[data-incident="${CSS.escape(incident)}"] a`)) || (id && main());
    back?.focus({ preventScroll: true });
    window.scrollTo({ top: scroll, behavior: "instant" });
  }

  async function refresh() {
    if (held || document.hidden) return;
    if (busy || typing()) { again = true; return; }
    busy = true;
    again = false;
    try {
      const response = await fetch(location.href, { cache: "no-store" });
      if (response.redirected) return location.reload();
      if (response.ok) show(await response.text());
    } catch { /* The next event tries again. */ }
    busy = false;
    if (again) setTimeout(refresh, 1000);
  }

  document.addEventListener("focusout", () => { if (again) setTimeout(refresh, 0); });

  // What a form changed is shown where the reader is.
  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (form.method !== "post" || !main().contains(form)) return;
    event.preventDefault();
    const buttons = [...form.querySelectorAll("button")];
    if (form.dataset.sent) return;
    form.dataset.sent = "1";
    for (const one of buttons) one.setAttribute("aria-disabled", "true");
    try {
      const response = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) });
      // Signed out meanwhile: the page asks for the token again.
      if (response.status === 401) return location.reload();
      const said = await response.text();
      // What was refused stays to be read.
      held = !response.ok;
      form.reset();
      show(said);
    } catch {
      form.submit();
    }
  });

  const rows = () => [...main().querySelectorAll("li.row a.title")];
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.target.matches("input, select, textarea")) return;
    const key = event.key;
    if (key === "?") {
      const keys = document.getElementById("keys");
      keys.open = !keys.open;
      keys.querySelector("summary").focus();
    } else if (key === "j" || key === "k") {
      const all = rows(), here = document.activeElement.closest("li.row");
      const at = all.findIndex((one) => here && here.contains(one));
      const next = at < 0 ? all[0] : all[Math.max(0, Math.min(all.length - 1, at + (key === "j" ? 1 : -1)))];
      next?.focus();
    } else if (key === "a" || key === "m") {
      const here = document.activeElement.closest("[data-incident]") || main().querySelector("article[data-incident]");
      here?.querySelector(`button[data-key="${key}"]`)?.click();
    } else {
      return;
    }
    event.preventDefault();
  });

  // A page that nobody looks at holds no connection: browsers have six for each host.
  let stream = null, asking = null, due = 0;
  const FIRST = 10000, NEXT = 40000;
  // The stream says something every 15 s, and at once.
  function heard() {
    due = performance.now() + NEXT;
    live.hidden = false;
    clearInterval(asking);
    asking = null;
  }
  // Then the page is asked for now and then.
  function ask() {
    live.hidden = true;
    if (asking !== null) return;
    asking = setInterval(refresh, 15000);
    refresh();
  }
  function listen() {
    if (stream || document.hidden) return;
    due = performance.now() + FIRST;
    stream = new EventSource(script.dataset.live);
    stream.addEventListener("change", () => { heard(); refresh(); });
    stream.addEventListener("alive", heard);
    stream.onerror = () => {
      live.hidden = true;
      // Too many streams, or signed out.
      if (stream && stream.readyState === EventSource.CLOSED) ask();
    };
  }
  // Something in between may keep back what is said, or be gone without a word.
  setInterval(() => {
    if (document.hidden || !stream || performance.now() < due) return;
    ask();
    if (stream.readyState === EventSource.CLOSED) return;
    stream.close();
    stream = null;
    listen();
    due += NEXT;
  }, 2000);
  function hush() {
    stream?.close();
    stream = null;
    live.hidden = true;
  }
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return hush();
    listen();
    refresh();
  });
  addEventListener("pagehide", hush);
  addEventListener("pageshow", (event) => { if (event.persisted) { listen(); refresh(); } });
  listen();
})();
