/* The table of rows: sorted by a column, filtered by text. */
(function (report) {
  "use strict";
  const { there, format } = report.numbers;
  const { sorted } = report.choice;
  const { make } = report.drawing;

  /* key, title, how it is shown, and whether less (-1) or more (1) is better. */
  const COLUMNS = [
    ["name", "row", String, 0],
    ["accuracy", "accuracy", format.percent, 1],
    ["mean", "mean", format.ms, -1],
    ["p50", "p50", format.ms, -1],
    ["p95", "p95", format.ms, -1],
    ["p99", "p99", format.ms, -1],
    ["bytes", "bytes", format.bytes, -1],
    ["answered.0", "device", format.percent, 0],
    ["answered.1", "edge", format.percent, 0],
    ["answered.2", "degraded", format.percent, 0],
    ["answered.3", "rejected", format.percent, 0],
    ["hits", "in time", format.percent, 1],
    ["changes", "plan changes", format.count, 0],
    ["regret", "regret", format.ms, -1],
    ["joules", "energy, modelled", format.joules, -1],
    ["runs", "runs", format.count, 0],
  ];

  const value = (point, key) => key.startsWith("answered.") ? point.answered[Number(key.slice(9))] : point[key];

  function table(element, points, order, text, sortBy) {
    const own = [...new Set(points.flatMap((point) => Object.keys(point).filter((key) => key.startsWith("metric "))))];
    const columns = [...COLUMNS, ...own.map((key) => [key, key.slice(7), format.number, 0])].filter(([key]) => points.some((point) => key === "name" || there(value(point, key))));
    const best = new Map(columns.filter(([, , , way]) => way).map(([key, , , way]) => {
      const known = points.filter((point) => point.deployable).map((point) => value(point, key)).filter(there);
      return [key, known.length > 1 ? (way > 0 ? Math.max(...known) : Math.min(...known)) : null];
    }));
    const head = columns.map(([key, title]) => {
      const cell = make("th", { textContent: title, tabIndex: 0, scope: "col" });
      if (order.key === key) cell.setAttribute("aria-sort", order.descending ? "descending" : "ascending");
      cell.addEventListener("click", () => sortBy(key));
      cell.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); sortBy(key); } });
      return cell;
    });
    const wanted = text.trim().toLowerCase();
    const kept = sorted(points, order.key, order.descending).filter((point) => `${point.name} ${point.about}`.toLowerCase().includes(wanted));
    const body = kept.map((point) => {
      const line = make("tr", {}, ...columns.map(([key, , show]) => {
        const cell = make("td", { textContent: show(value(point, key)) });
        if (point.deployable && best.get(key) !== null && best.get(key) === value(point, key)) cell.className = "best";
        if (key === "name") cell.title = [point.name, point.about, point.deployable ? "" : "not deployable"].filter(Boolean).join("\n");
        return cell;
      }));
      line.dataset.row = point.row;
      line.addEventListener("pointerenter", () => report.light(point.row));
      line.addEventListener("pointerleave", () => report.light(null));
      return line;
    });
    element.replaceChildren(make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...body));
  }

  report.table = table;
})(globalThis.offrampReport);
