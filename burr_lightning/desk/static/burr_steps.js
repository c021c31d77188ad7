// In Burr's own page of a run: says which steps are there where older or newer ones are left out, and leads to them.
"use strict";
(() => {
  const EVERY = 5000;
  const base = window.__BURR_BASE_PATH__ || "";
  const note = document.createElement("div");
  note.id = "steps-left-out";
  note.setAttribute("role", "status");
  note.style.cssText =
    "position:fixed;right:16px;bottom:12px;z-index:50;padding:6px 12px;border-radius:6px;background:#1f2937;" +
    "color:#fff;font:13px/1.4 system-ui,sans-serif;box-shadow:0 1px 4px rgba(0,0,0,.3)";

  // /burr/project/PROJECT/KEY/RUN is the page of a run; with ?before=N it has the steps before that one.
  const shownRun = () => {
    const parts = location.pathname.slice(base.length).split("/");
    return parts.length >= 5 && parts[1] === "project" ? [parts[2], parts[4], parts[3]] : null;
  };

  const link = (text, before) => {
    const a = document.createElement("a");
    a.textContent = text;
    a.href = location.pathname + (before ? `?before=${before}` : "");
    a.style.cssText = "color:#fff;text-decoration:underline;margin-left:12px";
    return a;
  };

  const say = ({ first, end, steps, most, older }) => {
    if (!older && end >= steps) {
      note.remove();
      return;
    }
    const n = (number) => number.toLocaleString("en");
    const links = [];
    if (older) links.push(link("Older", first));
    if (end < steps) {
      if (end + most < steps) links.push(link("Newer", end + most));
      links.push(link("Newest", null));
    }
    note.replaceChildren(`Steps ${n(first)} to ${n(end - 1)} of ${n(steps)}.`, ...links);
    document.body.append(note);
  };

  let asked = "";
  let at = 0;
  const look = async () => {
    const run = shownRun();
    const now = run ? run.join("/") : "";
    if (!run) note.remove();
    if (!run || document.hidden || (now === asked && Date.now() - at < EVERY)) return;
    [asked, at] = [now, Date.now()];
    try {
      const answer = await fetch(`${base}/api/v0/${now}/shown`);
      if (answer.ok && shownRun()?.join("/") === now) say(await answer.json());
      else note.remove();
    } catch {
      // The server is gone, which Burr's page says itself.
    }
  };
  setInterval(look, 500);
})();
