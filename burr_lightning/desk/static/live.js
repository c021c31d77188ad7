// Keeps a page that is open up to date: asks whether something changed, and puts the parts that did in place.
// What somebody is typing into a form stays, whatever the run does meanwhile.
"use strict";

(() => {
  const EVERY = 2000; // milliseconds between two questions to the server
  const page = document.querySelector("[data-live]");
  const live = document.getElementById("live");
  if (!page) return;
  let version = page.dataset.version;
  const shown = new Map();
  for (const part of page.querySelectorAll("[data-part]")) {
    part.addEventListener("input", () => { part.dataset.typed = "yes"; });
  }

  async function look() {
    const headers = { "If-None-Match": version, Accept: "application/json" };
    const answer = await fetch(page.dataset.live, { headers, cache: "no-store" });
    if (answer.status === 304) return say("live", "");
    if (!answer.ok) return say(answer.status === 404 ? "this run is gone" : `no news: the server says ${answer.status}`, "off");
    const news = await answer.json();
    version = answer.headers.get("ETag");
    for (const [name, html] of Object.entries(news.parts)) replace(name, html, news);
    tidyTimes();
    say("live", "");
    announce(news.status);
    page.dispatchEvent(new CustomEvent("news", { bubbles: true }));
  }

  function replace(name, html, news) {
    const part = page.querySelector(`[data-part="${CSS.escape(name)}"]`);
    if (!part || shown.get(name) === html) return;
    if (name === "question" && !mayReplace(part, html, news)) return;
    shown.set(name, html);
    const open = [...part.querySelectorAll("details")].map((one) => one.open);
    const focusable = "a, summary, button, input, textarea";
    const focused = [...part.querySelectorAll(focusable)].indexOf(document.activeElement);
    part.innerHTML = html; // rendered by the server, which escapes every value
    if (focused >= 0) part.querySelectorAll(focusable)[focused]?.focus({ preventScroll: true });
    [...part.querySelectorAll("details")].forEach((one, i) => { one.open = open[i] || false; });
  }

  // The form of the same question stays as it is, but for its key, which a new server has made anew.
  function mayReplace(part, html, news) {
    const asked = news.question === null ? "" : String(news.question);
    if (asked === page.dataset.question) {
      const fresh = new DOMParser().parseFromString(html, "text/html").querySelector("[name=key]");
      const key = part.querySelector("[name=key]");
      if (fresh && key) key.value = fresh.value;
      return false;
    }
    const before = page.dataset.question;
    page.dataset.question = asked;
    if (before && part.dataset.typed) {
      closeForm(part);
      return false;
    }
    return true;
  }

  function closeForm(part) {
    const button = part.querySelector("button");
    if (!button || button.disabled) return;
    button.disabled = true;
    const notice = document.createElement("p");
    notice.className = "notice";
    notice.setAttribute("role", "alert");
    notice.textContent = "This question is closed: the run has an answer, or asks something else now. "
      + "What you typed stays here until you load the page again.";
    button.parentElement.before(notice);
  }

  // For those who hear the page: what a run's status has become, and no more than that.
  function announce(status) {
    const place = document.getElementById("announce");
    if (!place || !status || status === page.dataset.status) return;
    page.dataset.status = status;
    place.textContent = `This run is now ${status}.`;
  }

  function say(text, kind) {
    live.hidden = false;
    live.dataset.kind = kind;
    if (live.textContent !== text) live.textContent = text;
  }

  // Times are written by the server in its own zone; beside them stands how long ago that was.
  function tidyTimes() {
    for (const time of document.querySelectorAll("time[datetime]")) {
      time.title = ago(Date.parse(time.dateTime));
    }
    for (const since of document.querySelectorAll("[data-since]")) {
      since.textContent = `for ${span(Date.now() - Date.parse(since.dataset.since))}`;
    }
  }

  const ago = (moment) => `${span(Date.now() - moment)} ago`;

  function span(milliseconds) {
    const seconds = Math.max(0, Math.round(milliseconds / 1000));
    if (seconds < 60) return `${seconds}s`;
    if (seconds < 3600) return `${Math.floor(seconds / 60)}m`;
    if (seconds < 172800) return `${Math.floor(seconds / 3600)}h`;
    return `${Math.floor(seconds / 86400)}d`;
  }

  async function again() {
    if (!document.hidden) {
      try {
        await look();
      } catch {
        say("the server does not answer", "off");
      }
      tidyTimes();
    }
    setTimeout(again, EVERY);
  }

  tidyTimes();
  setTimeout(again, EVERY);
})();
