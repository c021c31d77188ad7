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
    const typed = name === "question" && news.question !== null && part.dataset.typed ? typedIn(part) : null;
    shown.set(name, html);
    const open = [...part.querySelectorAll("details")].map((one) => one.open);
    const focusable = "a, summary, button, input, textarea";
    const focused = [...part.querySelectorAll(focusable)].indexOf(document.activeElement);
    part.innerHTML = html; // rendered by the server, which escapes every value
    if (focused >= 0) part.querySelectorAll(focusable)[focused]?.focus({ preventScroll: true });
    [...part.querySelectorAll("details")].forEach((one, i) => { one.open = open[i] || false; });
    if (typed) sayChanged(part, typed);
  }

  // The form of the same question stays as it is, but for its key, which a new server has made anew.
  function mayReplace(part, html, news) {
    const asked = news.question ?? "";
    if (asked === page.dataset.question) {
      const fresh = new DOMParser().parseFromString(html, "text/html").querySelector("[name=key]");
      const key = part.querySelector("[name=key]");
      if (fresh && key) key.value = fresh.value;
      return false;
    }
    page.dataset.question = asked;
    if (!asked && part.dataset.typed && part.querySelector("form")) {
      closeForm(part);
      return false;
    }
    return true;
  }

  // What stands in a form: what was asked for, as text; the comment and the name, which fit every question.
  function typedIn(part) {
    const form = part.querySelector("form");
    if (!form) return null;
    const values = [...new FormData(form)].filter(([name, text]) => name.startsWith("field.") && text !== "");
    return {
      values: values.map(([name, text]) => `${name.slice("field.".length)} ${text}`),
      notes: ["comment", "by"].map((name) => [name, form.querySelector(`[name=${name}]`)?.value ?? ""]),
    };
  }

  // Another question stands in the form's place: an answer to the former must not be sent to it unseen.
  function sayChanged(part, typed) {
    const lost = typed.values;
    for (const [name, text] of typed.notes) {
      const place = part.querySelector(`[name=${name}]`);
      if (place) place.value = text;
      else if (text) lost.push(`${name} ${text}`);
    }
    const typedBefore = lost.length ? ` What you had typed: ${lost.join(", ")}.` : "";
    const words = `The question has changed while you typed: the run asks something else now.${typedBefore}`;
    (part.querySelector("form .fields") ?? part.firstElementChild)?.before(notice(words));
  }

  function notice(text) {
    const made = document.createElement("p");
    made.className = "notice";
    made.setAttribute("role", "alert");
    made.textContent = text;
    return made;
  }

  function closeForm(part) {
    const button = part.querySelector("button");
    if (!button || button.disabled) return;
    button.disabled = true;
    button.parentElement.before(notice("This question is closed: the run waits for no answer to it any more. "
      + "What you typed stays here until you load the page again."));
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
      const moment = Date.parse(time.dateTime);
      if (!Number.isNaN(moment)) time.title = ago(moment);
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
