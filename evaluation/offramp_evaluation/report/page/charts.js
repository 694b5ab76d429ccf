/* The charts over all chosen runs: fronts, distribution, and bars. Each draws itself anew into its figure. */
(function (report) {
  "use strict";
  const { there, front, quantile, format, ticks } = report.numbers;
  const { draw, make, sheet, nothing, axes, mark, path, hover } = report.drawing;

  function box(page, left = 52, bottom = 40) {
    return { left, right: page.width - 14, top: 12, bottom: page.height - bottom };
  }

  function padded(values, share) {
    const low = Math.min(...values), high = Math.max(...values), room = (high - low) * share || Math.abs(high) * 0.05 || 1;
    return [low - room, high + room];
  }

  const said = (point, key, show) => {
    const range = point[key + "_range"];
    const told = range && range.every(there) ? ` (${show(range[0])} to ${show(range[1])})` : "";
    return show(point[key]) + told;
  };

  function summary(point) {
    return [
      `accuracy ${said(point, "accuracy", format.percent)}`,
      `latency ${said(point, "mean", format.ms)}, p95 ${format.ms(point.p95)}`,
      `${format.bytes(point.bytes)} per sample`,
      `device ${format.percent(point.answered[0])}, edge ${format.percent(point.answered[1])}`,
      point.runs > 1 ? `mean of ${point.runs} runs; in brackets, where eight of ten lie` : "in brackets, 95 % intervals where they are known",
      point.about,
    ];
  }

  /* Accuracy against a cost; runs faintly behind their mean, while they are few enough to be seen. */
  function pareto(figure, points, looks, key, show, label) {
    const known = points.filter((point) => there(point[key]) && there(point.accuracy));
    if (!known.length) return nothing(figure, "Nothing is chosen.");
    const page = sheet(figure, 340, `Accuracy against ${label}`), frame = box(page);
    const costs = known.map((point) => point[key]), positive = costs.filter((cost) => cost > 0);
    const log = positive.length === costs.length && Math.max(...costs) > 8 * Math.min(...costs);
    const range = log ? [Math.min(...costs) / 1.3, Math.max(...costs) * 1.3] : padded(costs, 0.06);
    if (!log) range[0] = Math.max(range[0], Math.min(0, ...costs) - 0.02 * range[1]);
    const good = padded(known.map((point) => point.accuracy), 0.12);
    const y = [Math.max(0, good[0]), Math.min(1.002, Math.max(good[1], good[0] + 0.01))];
    const { across, up } = axes(page, frame, { range, log, show }, { range: y, show: (value) => `${Number((100 * value).toFixed(1))}` });
    page.svg.append(
      draw("text", { x: frame.right, y: page.height - 4, "text-anchor": "end" }, label),
      draw("text", { x: frame.left + 6, y: frame.top + 10 }, "accuracy, %"));
    const best = front(known.filter((point) => point.deployable).map((point) => ({ cost: point[key], good: point.accuracy })));
    const stairs = best.flatMap((point, place) => {
      const before = best[place - 1], here = [across(point.cost), up(point.good)];
      return before ? [[here[0], up(before.good)], here] : [[here[0], frame.bottom], here];
    });
    if (stairs.length) page.svg.append(draw("path", { d: path([...stairs, [frame.right, stairs[stairs.length - 1][1]]]), class: "front" }));
    const single = known.reduce((count, point) => count + point.points.length, 0);
    for (const point of known) {
      const look = looks[point.row];
      if (point.runs > 1 && single <= 1500) {
        for (const one of point.points) {
          const inside = there(one[key]) && there(one.accuracy) && one[key] >= range[0] && one[key] <= range[1] && one.accuracy >= y[0] && one.accuracy <= y[1];
          if (inside) page.svg.append(mark(look, across(one[key]), up(one.accuracy), 2.5, { class: "faint" }));
        }
      }
    }
    for (const point of known) {
      const look = looks[point.row], x = across(point[key]), height = up(point.accuracy);
      const group = draw("g", { class: "point", "data-row": point.row });
      const sides = point[key + "_range"], ends = point.accuracy_range;
      const clip = (value, [low, high]) => Math.min(high, Math.max(low, value));
      if (sides && sides.every(there)) {
        const [from, to] = sides.map((value) => across(clip(value, range)));
        group.append(draw("line", { x1: from, x2: to, y1: height, y2: height, stroke: look.colour, class: "whisker" }));
      }
      if (ends && ends.every(there)) {
        const [from, to] = ends.map((value) => up(clip(value, y)));
        group.append(draw("line", { x1: x, x2: x, y1: from, y2: to, stroke: look.colour, class: "whisker" }));
      }
      group.append(mark(look, x, height, 6.5, { class: "halo" }), draw("circle", { cx: x, cy: height, r: 14, fill: "transparent" }));
      page.svg.append(hover(group, point.name, () => summary(point), point.row));
    }
  }

  /* Share of the answers that came within a time. */
  function distribution(figure, points, looks) {
    const known = points.filter((point) => point.quantiles.length);
    if (!known.length) return nothing(figure, "Nothing is chosen.");
    const page = sheet(figure, 340, "Distribution of latency"), frame = box(page, 44);
    const low = Math.max(0.05, Math.min(...known.map((point) => point.quantiles[0])));
    const high = Math.max(low * 1.5, ...known.map((point) => point.quantiles[point.quantiles.length - 1]));
    const { across, up } = axes(page, frame, { range: [low, high], log: true, show: format.ms },
      { range: [0, 1], at: [0, 0.25, 0.5, 0.75, 1], show: (value) => `${100 * value}` });
    page.svg.append(draw("text", { x: frame.left + 6, y: frame.top + 10 }, "answered, %"));
    const steps = Array.from({ length: 101 }, (_, place) => place / 100);
    for (const point of known) {
      const line = path(steps.map((share) => [across(Math.max(low, quantile(point.quantiles, share))), up(share)]));
      const drawn = draw("path", { d: line, fill: "none", stroke: looks[point.row].colour, "stroke-width": point.strategy ? 2.5 : 1.5,
        "stroke-dasharray": looks[point.row].shape === "circle" ? "none" : "6 3", "data-row": point.row, class: "point" });
      const wide = draw("path", { d: line, fill: "none", stroke: "transparent", "stroke-width": 12 });
      hover(wide, point.name, () => [0.05, 0.25, 0.5, 0.75, 0.95, 1].map((share) =>
        `${100 * share} % within ${format.ms(quantile(point.quantiles, share))}`), point.row);
      page.svg.append(drawn, wide);
    }
  }

  /* One bar for each point, made of parts {name, value, colour}. */
  function bars(figure, points, parts, show, label, longest) {
    const rows = points.filter((point) => parts(point).some((part) => part.value > 0));
    if (!rows.length) return nothing(figure, "Nothing is chosen.");
    const high = 24, names = Math.min(190, Math.round((figure.clientWidth || 560) * 0.36));
    const page = sheet(figure, 30 + high * rows.length, label), left = names + 8, right = page.width - 46;
    const most = longest || Math.max(...rows.map((point) => parts(point).reduce((sum, part) => sum + part.value, 0)));
    const letters = Math.floor(names / 6.6), used = new Set(), legend = new Map();
    for (const value of ticks(0, most, page.narrow ? 3 : 5)) {
      const x = left + (value / most) * (right - left);
      page.svg.append(draw("line", { x1: x, x2: x, y1: 0, y2: high * rows.length, class: "grid" }),
        draw("text", { x, y: high * rows.length + 18, "text-anchor": "middle" }, longest ? format.share(value) : show(value)));
    }
    rows.forEach((point, place) => {
      const top = place * high + 4;
      const short = point.name.length > letters ? `${point.name.slice(0, letters - 1)}…` : point.name;
      page.svg.append(draw("text", { x: names, y: top + 13, "text-anchor": "end", class: "name" }, short));
      let x = left, total = 0;
      for (const part of parts(point)) {
        legend.set(part.name, part.colour);
        total += part.value;
        if (!(part.value > 0)) continue;
        used.add(part.name);
        const width = (part.value / most) * (right - left);
        const bar = draw("rect", { x, y: top, width: Math.max(0.5, width), height: high - 8, fill: part.colour, "data-row": point.row, class: "point" });
        hover(bar, point.name, () => [`${part.name}: ${show(part.value)}`, ...parts(point).filter((one) => one !== part && one.value > 0)
          .map((one) => `${one.name}: ${show(one.value)}`)], point.row);
        page.svg.append(bar);
        x += width;
      }
      if (!longest) page.svg.append(draw("text", { x: x + 5, y: top + 13 }, show(total)));
    });
    figure.append(make("div", { className: "legend" }, ...[...legend].filter(([name]) => used.has(name)).map(([name, colour]) => {
      const swatch = make("i");
      swatch.style.background = colour;
      return make("span", {}, swatch, name);
    })));
  }

  const STEP_COLOURS = { wait: "#7f7f7f", device: "#0072b2", encode: "#56b4e9", uplink: "#e69f00", edge_queue: "#cc79a7",
    tail: "#009e73", downlink: "#f0d264", given_up: "#d55e00" };

  function steps(figure, points, names) {
    bars(figure, points, (point) => names.map((name, place) => ({
      name: name.replace("_", " "), value: point.steps[place] || 0, colour: STEP_COLOURS[name] || "#7f7f7f" })), format.ms, "Steps of the latency");
  }

  const KINDS = [["device", "#0072b2"], ["edge", "#e69f00"], ["degraded", "#d55e00"], ["rejected", "#7f7f7f"]];

  function answered(figure, points) {
    bars(figure, points, (point) => KINDS.map(([name, colour], place) => ({ name, value: point.answered[place] || 0, colour })),
      format.percent, "Who answers", 1);
  }

  /* From the first exit to the end of the network: from light to dark. */
  function exits(figure, points) {
    const cuts = [...new Set(points.flatMap((point) => point.exits.map(([cut]) => cut)))].sort((one, other) => one - other);
    const end = cuts[cuts.length - 1];
    const shade = (cut) => cut < 0 ? "#7f7f7f" : `hsl(202 72% ${74 - (50 * cuts.indexOf(cut)) / Math.max(1, cuts.length - 1)}%)`;
    bars(figure, points, (point) => point.exits.map(([cut, share]) => ({
      name: cut === end ? `cut ${cut}, the last` : `cut ${cut}`, value: share, colour: shade(cut) })), format.percent, "Where samples leave", 1);
  }

  report.charts = { pareto, distribution, steps, answered, exits };
})(globalThis.offrampReport);
