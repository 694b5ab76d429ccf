/* The page: its state, and who draws what of it. */
(function (report) {
  "use strict";
  const { format } = report.numbers;
  const { chosen, pool, looks } = report.choice;
  const { draw, make, mark } = report.drawing;
  const at = (id) => document.getElementById(id);

  const data = JSON.parse(at("data").textContent);
  const LATENCIES = [["mean", "mean"], ["p50", "median"], ["p95", "p95"], ["p99", "p99"]];
  const MANY = 9;
  const style = looks(data.rows);
  const state = {
    at: data.axes.map(() => -1),
    rows: new Set(data.rows.keys()),
    latency: "mean",
    run: 0,
    order: { key: "mean", descending: false },
    text: "",
  };

  /* Make everything that belongs to one row stand out. */
  report.light = function (row) {
    for (const line of document.querySelectorAll("tr.lit")) line.classList.remove("lit");
    const dimmed = row !== null && row !== undefined;
    for (const element of document.querySelectorAll(".point")) {
      element.style.opacity = dimmed && Number(element.dataset.row) !== row ? 0.25 : "";
    }
    if (dimmed) for (const line of document.querySelectorAll(`tr[data-row="${row}"]`)) line.classList.add("lit");
  };

  function options(select, items, value, change) {
    select.replaceChildren(...items.map(([key, text]) => make("option", { value: key, textContent: text })));
    select.value = value;
    select.onchange = () => change(select.value);
  }

  function axes() {
    at("axes").replaceChildren(...data.axes.map((axis, place) => {
      const select = make("select", { "aria-label": axis.key });
      const items = axis.values.map((value, index) => [index, value]);
      options(select, [[-1, `all ${axis.values.length}`], ...items], -1, (value) => { state.at[place] = Number(value); state.run = 0; show(); });
      return make("label", {}, `${axis.key} `, select);
    }));
  }

  function chips() {
    const all = make("button", { type: "button", className: "chip", textContent: "All" });
    all.onclick = () => { state.rows = state.rows.size < data.rows.length ? new Set(data.rows.keys()) : new Set(strategies()); show(); };
    at("rows").replaceChildren(all, ...data.rows.map((row, place) => {
      const icon = draw("svg", { viewBox: "0 0 14 14", width: 14, height: 14, "aria-hidden": "true" }, mark(style[place], 7, 7, 5));
      const chip = make("button", { type: "button", className: "chip", title: row.name }, icon, make("span", { textContent: row.name }));
      chip.dataset.chip = place;
      chip.onclick = () => { if (!state.rows.delete(place)) state.rows.add(place); show(); };
      return chip;
    }));
  }

  const strategies = () => [...data.rows.keys()].filter((row) => data.rows[row].strategy);

  function label(run) {
    return data.axes.map((axis, place) => `${axis.key} ${axis.values[run.at[place]]}`).join(", ") || run.run;
  }

  function table(points) {
    report.table(at("table"), points, state.order, state.text, (key) => {
      const descending = state.order.key === key ? !state.order.descending : key === "accuracy" || key === "hits";
      state.order = { key, descending };
      table(points);
    });
  }

  function show() {
    const runs = chosen(data.runs, state.at);
    for (const chip of document.querySelectorAll("[data-chip]")) chip.setAttribute("aria-pressed", state.rows.has(Number(chip.dataset.chip)));
    const points = pool(runs, data.rows).filter((point) => state.rows.has(point.row));
    const runsText = runs.length === 1 ? "One run." : `Means over ${runs.length} runs.`;
    at("pooling").textContent = runsText + (points.some((point) => point.regret !== null) ? " Regret: mean latency less the oracle's." : "");
    table(points);
    const shown = LATENCIES.find(([key]) => key === state.latency)[1];
    report.charts.pareto(at("pareto-latency"), points, style, state.latency, format.ms, `latency, ${shown}`);
    report.charts.pareto(at("pareto-bytes"), points, style, "bytes", format.bytes, "bytes on the wire");
    report.charts.distribution(at("distribution"), points, style);
    report.charts.steps(at("steps"), points, data.meta.steps);
    report.charts.answered(at("answered"), points);
    report.charts.exits(at("exits"), points);
    options(at("run"), runs.map((run, place) => [place, label(run)]), state.run, (value) => { state.run = Number(value); over(runs); });
    over(runs);
  }

  /* With many rows chosen, time lines show strategies alone: more lines than that hide each other. */
  function over(runs) {
    const rows = state.rows.size > MANY ? new Set(strategies().filter((row) => state.rows.has(row))) : state.rows;
    report.timeline(at("timeline"), runs[state.run], data.rows, style, rows.size ? rows : state.rows);
  }

  function head() {
    const meta = data.meta;
    at("kind").textContent = meta.simulated ? "Offramp · simulated from a tape" : "Offramp · measured live";
    at("title").textContent = meta.title;
    at("about").textContent = meta.about;
    const fixed = Object.entries(data.fixed).filter(([key]) => !["load.samples", "load.arrivals", "link.shared", "device.radio"].includes(key));
    const facts = [`${data.runs.length} run${data.runs.length === 1 ? "" : "s"}`, `${format.count(meta.samples)} samples`,
      ...fixed.map(([key, value]) => `${key} ${value}`)];
    if (meta.failed) facts.push(`${meta.failed} failed`);
    if (meta.thinned) facts.push(`thinned: ${meta.thinned}`);
    at("facts").textContent = facts.join(" · ");
    const commits = meta.commits.length ? `, commit ${meta.commits.join(", ")}` : "";
    at("made").textContent = `Made by offramp ${meta.versions.join(", ")}${commits}, on ${meta.machines.join("; ") || "a machine that is not named"}.`;
  }

  function theme() {
    const button = at("theme"), root = document.documentElement, dark = matchMedia("(prefers-color-scheme: dark)");
    const now = () => root.dataset.theme || (dark.matches ? "dark" : "light");
    const tell = () => { button.textContent = now() === "dark" ? "Light" : "Dark"; };
    button.onclick = () => { root.dataset.theme = now() === "dark" ? "light" : "dark"; tell(); };
    dark.addEventListener("change", tell);
    tell();
  }

  let width = innerWidth, waiting = 0;
  addEventListener("resize", () => {
    if (innerWidth === width) return;
    width = innerWidth;
    cancelAnimationFrame(waiting);
    waiting = requestAnimationFrame(show);
  });
  at("search").oninput = () => { state.text = at("search").value; show(); };
  options(at("latency"), LATENCIES, state.latency, (value) => { state.latency = value; show(); });
  head();
  theme();
  axes();
  chips();
  show();
})(globalThis.offrampReport);
