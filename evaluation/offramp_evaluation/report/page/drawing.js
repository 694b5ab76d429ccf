/* Elements, axes and the tip that follows the pointer. Text only ever comes in as text, never as markup. */
(function (report) {
  "use strict";
  const { ticks, logTicks, scale } = report.numbers;
  const space = document.getElementById("origin").namespaceURI;

  /* An SVG element with attributes, text and children. */
  function draw(kind, attributes = {}, ...children) {
    const element = document.createElementNS(space, kind);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children.filter((child) => child !== null));
    return element;
  }

  /* An element of the page. */
  function make(kind, properties = {}, ...children) {
    const element = document.createElement(kind);
    for (const [name, value] of Object.entries(properties)) {
      if (name in element) element[name] = value;
      else element.setAttribute(name, value);
    }
    element.append(...children.filter((child) => child !== null));
    return element;
  }

  const NARROW = 420;

  /* A canvas as wide as its figure, so that letters keep their size on a phone. */
  function sheet(figure, height, label) {
    const width = Math.max(300, Math.round(figure.clientWidth || 560));
    const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
    figure.replaceChildren(svg);
    return { svg, width, height, narrow: width < NARROW };
  }

  function nothing(figure, text) {
    figure.replaceChildren(make("p", { className: "none", textContent: text }));
  }

  /* Both axes of a chart with their grid; returns the scales. */
  function axes(page, box, x, y) {
    const across = scale(x.range, [box.left, box.right], x.log), up = scale(y.range, [box.bottom, box.top], y.log);
    const fewer = page.narrow ? 4 : 6;
    for (const value of y.at || ticks(...y.range, 5)) {
      page.svg.append(
        draw("line", { x1: box.left, x2: box.right, y1: up(value), y2: up(value), class: "grid" }),
        draw("text", { x: box.left - 8, y: up(value) + 4, "text-anchor": "end" }, y.show(value)));
    }
    let free = -Infinity;
    for (const value of x.at || (x.log ? logTicks(...x.range) : ticks(...x.range, fewer))) {
      const place = across(value), text = x.show(value), half = 3.6 * text.length;
      page.svg.append(draw("line", { x1: place, x2: place, y1: box.top, y2: box.bottom, class: "grid" }));
      if (place - half < free) continue;
      free = place + half + 6;
      page.svg.append(draw("text", { x: place, y: box.bottom + 18, "text-anchor": "middle" }, text));
    }
    return { across, up };
  }

  const CORNERS = {
    square: [[-1, -1], [1, -1], [1, 1], [-1, 1]],
    triangle: [[0, -1.2], [1.1, 0.9], [-1.1, 0.9]],
    diamond: [[0, -1.4], [1.2, 0], [0, 1.4], [-1.2, 0]],
    cross: [[-1.2, -0.4], [-0.4, -0.4], [-0.4, -1.2], [0.4, -1.2], [0.4, -0.4], [1.2, -0.4], [1.2, 0.4], [0.4, 0.4],
      [0.4, 1.2], [-0.4, 1.2], [-0.4, 0.4], [-1.2, 0.4]],
  };

  function mark(look, x, y, size, attributes = {}) {
    const given = { fill: look.colour, ...attributes };
    if (look.shape === "circle") return draw("circle", { cx: x, cy: y, r: size, ...given });
    const points = CORNERS[look.shape].map(([dx, dy]) => `${(x + dx * size).toFixed(1)},${(y + dy * size).toFixed(1)}`);
    return draw("polygon", { points: points.join(" "), ...given });
  }

  function path(points) {
    return points.map(([x, y], place) => `${place ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
  }

  const tip = document.getElementById("tip");

  /* A title and lines beside the pointer, kept inside the window. */
  function showTip(event, title, lines) {
    tip.replaceChildren(make("b", { textContent: title }), lines.filter(Boolean).join("\n"));
    tip.hidden = false;
    const width = tip.offsetWidth, height = tip.offsetHeight, room = 14;
    const left = event.clientX + room + width > innerWidth ? event.clientX - room - width : event.clientX + room;
    const top = event.clientY + room + height > innerHeight ? event.clientY - room - height : event.clientY + room;
    tip.style.left = `${Math.max(4, left)}px`;
    tip.style.top = `${Math.max(4, top)}px`;
  }

  function hideTip() {
    tip.hidden = true;
  }

  // A finger that was lifted has left everything: what it touched stays told until the next touch, or until one scrolls.
  addEventListener("pointerdown", hideTip, true);
  addEventListener("scroll", hideTip, { passive: true });

  /* Call `come` while a pointer is over an element, or has touched it, and `leave` when it is not. */
  function follow(element, come, leave) {
    element.addEventListener("pointermove", come);
    element.addEventListener("pointerdown", come);
    element.addEventListener("pointerleave", (event) => { if (event.pointerType !== "touch") leave(); });
  }

  /* Show a tip over an element; `lines` is asked when it is needed. */
  function hover(element, title, lines, row) {
    follow(element, (event) => { showTip(event, title, lines()); report.light(row); }, () => { hideTip(); report.light(null); });
    return element;
  }

  report.drawing = { draw, make, sheet, nothing, axes, mark, path, showTip, hideTip, follow, hover };
})(globalThis.offrampReport);
