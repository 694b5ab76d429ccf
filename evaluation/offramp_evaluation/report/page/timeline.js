/* One run over time: the link, the latency of each row, and the plans that were followed. */
(function (report) {
  "use strict";
  const { there, format, logTicks } = report.numbers;
  const { COLOURS } = report.choice;
  const { draw, make, sheet, nothing, axes, path, showTip, hideTip, follow } = report.drawing;
  const LINK = 110, LATENCY = 210, STRIP = 20, GAP = 26;

  function timeline(figure, run, rows, looks, shown) {
    const points = run ? run.rows.filter((point) => shown.has(point.row) && point.line) : [];
    if (!points.length) return nothing(figure, "No row with a time line is chosen.");
    const count = run.link.kbit.length, every = run.link.every, end = count * every;
    const strips = points.filter((point) => new Set(point.line.plan.filter((plan) => plan >= 0)).size > 1);
    const page = sheet(figure, LINK + LATENCY + 2 * GAP + STRIP * strips.length + 30, "The run over time");
    const left = 62, right = page.width - 14;
    const carried = link(page, run, { left, right, top: 8, bottom: LINK }, end);
    const frame = { left, right, top: LINK + GAP, bottom: LINK + GAP + LATENCY };
    latencies(page, points, looks, frame, every, end);
    const plans = [...new Set(strips.flatMap((point) => point.line.plans))];
    const colours = new Map(plans.map((plan, place) => [plan, COLOURS[place % COLOURS.length]]));
    strips.forEach((point, place) => strip(page, point, rows, colours, frame, frame.bottom + GAP + 8 + place * STRIP, every, end));
    explain(page, run, points, rows, frame, carried, every, count);
    if (plans.length) {
      figure.append(make("div", { className: "legend" }, ...plans.map((plan) => {
        const swatch = make("i");
        swatch.style.background = colours.get(plan);
        return make("span", {}, swatch, plan);
      })));
    }
  }

  function link(page, run, frame, end) {
    const most = Math.max(...run.link.kbit, 1);
    const { across, up } = axes(page, frame, { range: [0, end], show: (value) => `${value} s` },
      { range: [0, most], at: [0, most], show: format.rate });
    const edges = run.link.kbit.flatMap((rate, place) => [[across(place * run.link.every), up(rate)], [across((place + 1) * run.link.every), up(rate)]]);
    page.svg.append(
      draw("path", { d: path([[across(0), up(0)], ...edges, [across(end), up(0)]]) + "Z", class: "band" }),
      draw("text", { x: frame.left + 6, y: frame.top + 10 }, "link, up"));
    return across;
  }

  function latencies(page, points, looks, frame, every, end) {
    const values = points.flatMap((point) => point.line.latency.filter((value) => there(value) && value > 0));
    const range = values.length ? [Math.min(...values) / 1.2, Math.max(...values) * 1.2] : [1, 10];
    const { across, up } = axes(page, frame, { range: [0, end], show: (value) => `${value} s` },
      { range, log: true, at: logTicks(...range), show: format.ms });
    page.svg.append(draw("text", { x: frame.left + 6, y: frame.top + 10 }, "mean latency"));
    for (const point of points) {
      const pieces = [[]];
      point.line.latency.forEach((value, place) => {
        if (there(value) && value > 0) pieces[pieces.length - 1].push([across((place + 0.5) * every), up(value)]);
        else if (pieces[pieces.length - 1].length) pieces.push([]);
      });
      page.svg.append(draw("path", { d: pieces.map(path).join(""), fill: "none", stroke: looks[point.row].colour, "stroke-width": 1.8,
        "stroke-dasharray": looks[point.row].shape === "circle" ? "none" : "6 3", "data-row": point.row, class: "point" }));
    }
  }

  function strip(page, point, rows, colours, frame, top, every, end) {
    const width = (frame.right - frame.left) / (end / every), letters = Math.floor((frame.left - 6) / 6.6), name = rows[point.row].name;
    page.svg.append(draw("text", { x: frame.left - 6, y: top + 11, "text-anchor": "end" }, name.length > letters ? `${name.slice(0, letters - 1)}…` : name));
    point.line.plan.forEach((plan, place) => {
      if (plan < 0) return;
      page.svg.append(draw("rect", { x: frame.left + place * width, y: top, width: width + 0.3, height: STRIP - 6, fill: colours.get(point.line.plans[plan]) }));
    });
  }

  /* What was at the moment under the pointer. */
  function explain(page, run, points, rows, frame, across, every, count) {
    const cross = draw("line", { y1: 8, y2: page.height - 24, x1: frame.left, x2: frame.left, class: "cross", visibility: "hidden" });
    const glass = draw("rect", { x: frame.left, y: 0, width: frame.right - frame.left, height: page.height, fill: "transparent", class: "glass" });
    page.svg.append(cross, glass);
    follow(glass, (event) => {
      const within = page.svg.getBoundingClientRect();
      const x = ((event.clientX - within.left) / within.width) * page.width;
      const place = Math.min(count - 1, Math.max(0, Math.floor(((x - frame.left) / (frame.right - frame.left)) * count)));
      const middle = across((place + 0.5) * every);
      cross.setAttribute("visibility", "visible");
      cross.setAttribute("x1", middle);
      cross.setAttribute("x2", middle);
      const lines = points.slice(0, 12).map((point) => {
        const plan = point.line.plans[point.line.plan[place]];
        return `${rows[point.row].name}: ${format.ms(point.line.latency[place])}${plan && point.line.plans.length > 1 ? `  ${plan}` : ""}`;
      });
      showTip(event, `${place * every} to ${(place + 1) * every} s`, [`link ${format.rate(run.link.kbit[place])}`, ...lines]);
    }, () => { cross.setAttribute("visibility", "hidden"); hideTip(); });
  }

  report.timeline = timeline;
})(globalThis.offrampReport);
