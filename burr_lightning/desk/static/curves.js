// Draws the learning curves from JSON. Names are put in as text; Plotly reads some of them as HTML, so they are
// escaped for it.
"use strict";

(() => {
  const place = document.getElementById("curves");
  if (!place || typeof Plotly === "undefined") return;
  const HEIGHT = 230;
  const FEW = 60; // points of a curve that are drawn as dots too
  let version = "";
  let panels = [];
  let latest = null;
  const chosen = new Map(); // by a panel's label: whether a person wants its axis logarithmic

  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const plain = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const short = (value) => Number(value.toPrecision(4)).toString();

  function element(kind, className, text) {
    const made = document.createElement(kind);
    made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  // Train and validation have the same colour in every panel; what is neither takes the next of the others.
  function colors(curves) {
    let others = 0;
    const taken = new Set();
    return curves.map((curve) => {
      const own = { train: "--train", val: "--val", test: "--test" }[curve.role];
      const name = own && !taken.has(own) ? own : `--other-${(others++ % 5) + 1}`;
      taken.add(name);
      return color(name);
    });
  }

  function traces(panel, paints) {
    return panel.curves.map((curve, i) => ({
      type: "scatter",
      mode: curve.x.length <= FEW || curve.y.includes(null) ? "lines+markers" : "lines",
      x: curve.x,
      y: curve.y,
      name: plain(curve.name),
      connectgaps: false,
      line: { color: paints[i], width: curve.monitored ? 2.5 : 1.5 },
      marker: { color: paints[i], size: curve.monitored ? 5 : 4 },
      hovertemplate: "%{y:.5g}",
    }));
  }

  function marks(panel, charts, paints) {
    const lines = [];
    const line = (x, dash, paint) => lines.push({
      type: "line", xref: "x", yref: "paper", x0: x, x1: x, y0: 0, y1: 1, line: { color: paint, width: 1, dash },
    });
    for (const epoch of charts.reviews) if (epoch >= 0) line(epoch, "dash", color("--ask"));
    if (charts.ended !== null) line(charts.ended, "solid", color("--quiet"));
    const at = panel.curves.findIndex((curve) => curve.monitored);
    const star = at >= 0 && charts.best ? [{
      type: "scatter", mode: "markers", x: [charts.best.epoch], y: [charts.best.value], name: "best",
      marker: { symbol: "star", size: 15, color: color("--best"), line: { color: color("--card"), width: 1 } },
      hoverinfo: "skip",
    }] : [];
    return { lines, star };
  }

  function layout(panel, lines, last) {
    const grid = color("--line");
    const axis = { gridcolor: grid, linecolor: grid, zeroline: false, fixedrange: false };
    return {
      height: HEIGHT, margin: { l: 52, r: 12, t: 6, b: 30 }, showlegend: false, hovermode: "x unified", hoverdistance: -1,
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", shapes: lines, dragmode: false,
      font: { color: color("--quiet"), size: 12, family: getComputedStyle(document.body).fontFamily },
      hoverlabel: { namelength: 40, bgcolor: color("--card"), bordercolor: grid, font: { color: color("--text") } },
      xaxis: { ...axis, tickformat: "d", nticks: 8, ...(last < 8 ? { dtick: 1 } : {}), hoverformat: "d", unifiedhovertitle: { text: "epoch %{x}" }, range: [-0.02 * last, 1.02 * last] },
      yaxis: { ...axis, type: isLog(panel) ? "log" : "linear", nticks: 6, exponentformat: "e", automargin: true },
    };
  }

  function caption(panel, charts, paints) {
    const head = element("figcaption", "legend");
    head.append(element("strong", "", panel.label));
    if (panel.curves.every((curve) => curve.y.every((value) => value === null || value > 0))) {
      head.append(toggle(panel));
    }
    panel.curves.forEach((curve, i) => {
      const entry = element("span", curve.monitored ? "curve strong" : "curve", curve.name);
      const swatch = document.createElementNS("http://www.w3.org/2000/svg", "svg");
      swatch.setAttribute("viewBox", "0 0 14 4");
      swatch.setAttribute("fill", paints[i]);
      const bar = document.createElementNS("http://www.w3.org/2000/svg", "rect");
      bar.setAttribute("width", "14");
      bar.setAttribute("height", "4");
      swatch.append(bar);
      entry.prepend(swatch);
      head.append(entry);
      if (curve.monitored && charts.best) {
        head.append(element("span", "curve best", `★ ${short(charts.best.value)}, epoch ${charts.best.epoch}`));
      }
    });
    return head;
  }

  const isLog = (panel) => chosen.get(panel.label) ?? panel.log;

  function toggle(panel) {
    const button = element("button", "toggle", "log");
    button.type = "button";
    button.setAttribute("aria-pressed", String(isLog(panel)));
    button.setAttribute("aria-label", `${panel.label} on a logarithmic axis`);
    button.addEventListener("click", () => {
      chosen.set(panel.label, !isLog(panel));
      draw(latest);
      [...place.querySelectorAll(".toggle")].find((one) => one.ariaLabel === button.ariaLabel)?.focus();
    });
    return button;
  }

  function draw(charts) {
    if (place.dataset.panels !== String(charts.panels.length)) {
      panels.forEach((one) => Plotly.purge(one.plot));
      place.replaceChildren();
      panels = charts.panels.map(() => {
        const figure = element("figure", "panel");
        const plot = element("div", "plot");
        figure.append(plot);
        place.append(figure);
        return { figure, plot };
      });
      place.dataset.panels = String(charts.panels.length);
    }
    const last = Math.max(1, ...charts.panels.flatMap((panel) => panel.curves.map((curve) => curve.x.at(-1) ?? 0)));
    charts.panels.forEach((panel, i) => {
      const { figure, plot } = panels[i];
      const paints = colors(panel.curves);
      const { lines, star } = marks(panel, charts, paints);
      figure.querySelector("figcaption")?.remove();
      figure.prepend(caption(panel, charts, paints));
      const names = panel.curves.map((curve) => curve.name).join(", ");
      plot.setAttribute("role", "img");
      plot.setAttribute("aria-label", `Curves of ${names} by epoch; the numbers are in the table below.`);
      Plotly.react(plot, [...traces(panel, paints), ...star], layout(panel, lines, last), {
        displayModeBar: false, responsive: true, showTips: false, scrollZoom: false, doubleClick: false,
      });
    });
    place.dataset.drawn = "yes";
  }

  async function load() {
    const answer = await fetch(place.dataset.charts, { headers: { "If-None-Match": version }, cache: "no-store" });
    if (!answer.ok) return;
    version = answer.headers.get("ETag");
    latest = await answer.json();
    draw(latest);
  }

  const soon = () => load().catch(() => {}); // the page itself says that the server does not answer
  document.addEventListener("news", soon);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => latest && draw(latest));
  soon();
})();
