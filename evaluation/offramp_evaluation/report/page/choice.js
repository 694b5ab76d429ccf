/* What is chosen, and the rows of all chosen runs pooled into one point each. No document. */
(function (report) {
  "use strict";
  const { mean, quantile, sort, there } = report.numbers;

  /* Runs whose value on every axis is the chosen one; -1 chooses all. */
  function chosen(runs, at) {
    return runs.filter((run) => at.every((place, axis) => place < 0 || run.at[axis] === place));
  }

  const PLAIN = ["accuracy", "mean", "p50", "p95", "p99", "bytes", "hits", "changes", "regret", "joules"];

  /* One point for each row: means over runs, and how far runs lie apart. */
  function pool(runs, rows) {
    const found = rows.map(() => []);
    for (const run of runs) for (const point of run.rows) found[point.row].push(point);
    return found.map((points, row) => points.length ? pooled(points, rows[row], row) : null).filter(Boolean);
  }

  function pooled(points, about, row) {
    const point = { row, name: about.name, about: about.about, strategy: about.strategy, deployable: about.deployable,
      runs: points.length, points };
    for (const key of PLAIN) point[key] = mean(points.map((one) => one[key]));
    point.n = points.reduce((sum, one) => sum + one.n, 0);
    point.answered = [0, 1, 2, 3].map((kind) => mean(points.map((one) => one.answered[kind])));
    point.steps = points[0].steps.map((_, step) => mean(points.map((one) => one.steps[step])));
    point.quantiles = sort(points.flatMap((one) => one.quantiles));
    point.exits = exits(points);
    for (const name of Object.keys(points[0].metrics || {})) point["metric " + name] = mean(points.map((one) => (one.metrics || {})[name]));
    for (const key of ["accuracy", "mean"]) {
      point[key + "_range"] = points.length === 1 ? points[0][key + "_range"] : spread(points.map((one) => one[key]));
    }
    point.bytes_range = points.length === 1 ? null : spread(points.map((one) => one.bytes));
    return point;
  }

  /* Where eight of ten runs lie. */
  function spread(values) {
    const sorted = sort(values);
    return [quantile(sorted, 0.1), quantile(sorted, 0.9)];
  }

  function exits(points) {
    const total = new Map();
    for (const point of points) {
      for (const [cut, share] of Object.entries(point.exits)) {
        if (there(share)) total.set(Number(cut), (total.get(Number(cut)) || 0) + share / points.length);
      }
    }
    return [...total].sort((one, other) => one[0] - other[0]);
  }

  /* Okabe and Ito's colours, told apart with every kind of colour vision; shapes tell those that share one. */
  const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6d1f", "#7f7f7f"];
  const SHAPES = ["circle", "square", "triangle", "diamond", "cross"];

  /* Strategies get the first colours. */
  function looks(rows) {
    const order = rows.map((_, place) => place).sort((one, other) => rows[other].strategy - rows[one].strategy || one - other);
    const found = [];
    order.forEach((row, place) => {
      found[row] = { colour: COLOURS[place % COLOURS.length], shape: SHAPES[Math.floor(place / COLOURS.length) % SHAPES.length] };
    });
    return found;
  }

  /* In the order of a column; what has no value comes last, whichever way. */
  function sorted(points, key, descending) {
    const value = (point) => key === "name" ? point.name : key.startsWith("answered.") ? point.answered[Number(key.slice(9))] : point[key];
    return [...points].sort((one, other) => {
      const [a, b] = [value(one), value(other)];
      if (key === "name") return (descending ? -1 : 1) * a.localeCompare(b);
      if (!there(a) || !there(b)) return there(a) ? -1 : there(b) ? 1 : 0;
      return descending ? b - a : a - b;
    });
  }

  report.choice = { chosen, pool, looks, sorted, COLOURS };
})(globalThis.offrampReport ??= {});
