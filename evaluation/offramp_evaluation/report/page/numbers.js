/* Numbers: no document, no state. Everything here is tested by itself. */
(function (report) {
  "use strict";

  const there = (value) => value !== null && value !== undefined && Number.isFinite(value);

  function mean(values) {
    const known = values.filter(there);
    return known.length ? known.reduce((sum, value) => sum + value, 0) / known.length : null;
  }

  /* The share-th value of a sorted list, between neighbours. */
  function quantile(sorted, share) {
    if (!sorted.length) return null;
    const place = share * (sorted.length - 1), low = Math.floor(place), high = Math.ceil(place);
    return sorted[low] + (sorted[high] - sorted[low]) * (place - low);
  }

  function sort(values) {
    return Float64Array.from(values.filter(there)).sort();
  }

  /* Points that no other beats: least cost for each value of the good, in the order of their cost. */
  function front(points) {
    const known = points.filter((point) => there(point.cost) && there(point.good));
    known.sort((one, other) => one.cost - other.cost || other.good - one.good);
    const kept = [];
    for (const point of known) {
      if (!kept.length || point.good > kept[kept.length - 1].good) kept.push(point);
    }
    return kept;
  }

  /* Round values that lie evenly over a range, about so many. */
  function ticks(low, high, count) {
    if (!(high > low)) return [low];
    const rough = (high - low) / Math.max(1, count), size = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 2.5, 5, 10].map((one) => one * size).find((one) => one >= rough * 0.999) || 10 * size;
    const found = [];
    for (let place = Math.ceil(low / step - 1e-9); place * step <= high + step * 1e-9; place++) {
      found.push(Number((place * step).toPrecision(12)));
    }
    return found;
  }

  /* 1, 2 and 5 times powers of ten. */
  function logTicks(low, high) {
    const found = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
      for (const digit of [1, 2, 5]) {
        const value = Number((digit * 10 ** power).toPrecision(6));
        if (value >= low * 0.999 && value <= high * 1.001) found.push(value);
      }
    }
    // Over less than two powers of two there are none or one: then even steps say more.
    return found.length >= 3 ? found : ticks(low, high, 4);
  }

  function scale(from, to, logarithmic) {
    const turn = logarithmic ? Math.log : (value) => value;
    const [low, high] = from.map(turn), span = high - low || 1;
    return (value) => to[0] + ((turn(value) - low) / span) * (to[1] - to[0]);
  }

  const digits = (value) => {
    if (value === 0) return "0";
    const size = Math.abs(value);
    return size >= 99.95 ? value.toFixed(0) : size >= 9.995 ? value.toFixed(1) : size >= 0.9995 ? value.toFixed(2)
      : Number(value.toPrecision(3)).toString();
  };
  const grouped = (text) => text.replace(/\B(?=(\d{3})+(?!\d))/g, ",");

  const format = {
    ms: (value) => !there(value) ? "·" : Math.abs(value) >= 9999.5 ? `${digits(value / 1000)} s` : `${grouped(digits(value))} ms`,
    percent: (value) => !there(value) ? "·" : value === 0 || value === 1 ? `${100 * value} %`
      : `${(100 * value).toFixed(value < 0.01 ? 2 : 1)} %`,
    share: (value) => `${Math.round(100 * value)} %`,
    bytes: (value) => !there(value) ? "·" : value >= 999500 ? `${digits(value / 1e6)} MB`
      : value >= 999.5 ? `${digits(value / 1e3)} kB` : `${value.toFixed(0)} B`,
    rate: (value) => !there(value) ? "·" : value >= 999.5 ? `${digits(value / 1000)} Mbit/s` : `${digits(value)} kbit/s`,
    joules: (value) => there(value) ? `${digits(1000 * value)} mJ` : "·",
    number: (value) => there(value) ? grouped(digits(value)) : "·",
    count: (value) => there(value) ? grouped(String(Math.round(10 * value) / 10)) : "·",
  };

  report.numbers = { there, mean, quantile, sort, front, ticks, logTicks, scale, format };
})(globalThis.offrampReport ??= {});
