// Of each chart: values under the pointer, lines switched on and off by its legend, a logarithmic axis and smoothing.
// Without this script a chart and its summary stand as they are.
const charts = [];
const tools = document.querySelector("form.tools");
const nice = (about) => {
  const power = 10 ** Math.floor(Math.log10(about));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= about * 0.999);
};
const shortened = (value) => String(+value.toPrecision(4)).replace("e+", "e");
const smoothed = (points, weight) => {
  let mean = null;
  return points.map(([x, y]) => [x, (mean = mean === null ? y : weight * mean + (1 - weight) * y)]);
};

for (const figure of document.querySelectorAll("figure.chart, figure.picture")) {
  const svg = figure.querySelector("svg.chart");
  if (!svg) continue;
  const axis = (text) => {
    const [low, high, start, end, log] = text.split(" ");
    const scale = log ? Math.log10 : (value) => value;
    const from = scale(+low), to = scale(+high);
    return {
      start: +start, end: +end, log: !!log,
      pixel: (value) => +start + ((scale(value) - from) / (to - from)) * (end - start),
      value: (pixel) => from + ((pixel - start) / (end - start)) * (to - from),
    };
  };
  const across = axis(svg.dataset.x);
  let up = axis(svg.dataset.y);
  const isLogByItself = up.log;
  const series = [...svg.querySelectorAll(".series")].map((element) => ({
    element,
    name: element.dataset.name,
    points: element.dataset.points.split(" ").map((pair) => pair.split(",").map(Number)),
    shown: true,
  }));
  for (const each of series) each.drawn = each.points;
  const visible = () => series.filter((each) => each.shown);
  let readout = figure.querySelector(".readout");
  if (!readout) {
    readout = document.createElement("p");
    readout.className = "readout";
    svg.after(readout);
  }
  const atRest = [...readout.childNodes].map((node) => node.cloneNode(true));
  const make = (name, attributes) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return element;
  };
  const cursor = make("g", { visibility: "hidden" });
  const rule = make("path", { class: "mark" });
  for (const each of series) {
    each.dot = make("g", { class: each.element.getAttribute("class").replace("series", "") });
    each.dot.append(make("circle", { class: "dot", r: 3.2 }));
  }
  cursor.append(rule, ...series.map(({ dot }) => dot));
  svg.append(cursor);

  const redraw = () => {
    const weight = tools ? +tools.elements.smooth.value : 0;
    for (const each of series) each.drawn = weight ? smoothed(each.points, weight) : each.points;
    const values = visible().flatMap(({ drawn }) => drawn.map(([, y]) => y));
    if (!values.length) return;
    let low = Infinity, high = -Infinity;
    for (const value of values) { low = Math.min(low, value); high = Math.max(high, value); }
    const log = low > 0 && (isLogByItself || (tools && tools.elements.log.checked));
    let ticks = [];
    if (log) {
      const first = Math.floor(Math.log10(low)), last = Math.max(Math.ceil(Math.log10(high)), first + 1);
      const every = Math.ceil((last - first) / 5);
      for (let power = first; power <= last; power += every) ticks.push(10 ** power);
      [low, high] = [10 ** first, 10 ** last];
    } else {
      if (low === high) { const margin = Math.abs(low) * 0.1 || 1; low -= margin; high += margin; }
      const step = nice((high - low) / 5);
      const first = Math.floor(low / step + 1e-9), last = Math.ceil(high / step - 1e-9);
      for (let index = first; index <= last; index++) ticks.push(+(index * step).toPrecision(12));
      [low, high] = [ticks[0], ticks[ticks.length - 1]];
    }
    svg.dataset.y = `${low} ${high} ${up.start} ${up.end}${log ? " log" : ""}`;
    up = axis(svg.dataset.y);
    const old = svg.querySelectorAll("text.y-tick"), place = old[0];
    for (const tick of ticks) {
      const text = place.cloneNode();
      text.textContent = shortened(tick);
      text.setAttribute("y", up.pixel(tick) + 4);
      place.before(text);
    }
    for (const text of old) text.remove();
    svg.querySelector(".grid").setAttribute("d",
      ticks.map((tick) => `M${across.start} ${up.pixel(tick).toFixed(1)}H${across.end}`).join(""));
    for (const { element, drawn, shown } of series) {
      element.setAttribute("visibility", shown ? "visible" : "hidden");
      const pixels = drawn.map(([x, y]) => `${across.pixel(x).toFixed(1)} ${up.pixel(y).toFixed(1)}`);
      element.querySelector(".line").setAttribute("d", `M${pixels.join("L")}`);
      const dot = element.querySelector("circle");
      if (dot) dot.setAttribute("cy", up.pixel(drawn[0][1]));
    }
    rest();
  };
  if (figure.classList.contains("chart")) charts.push(redraw);

  for (const [index, button] of [...figure.querySelectorAll(".legend button")].entries()) {
    button.addEventListener("click", (event) => {
      const others = series.filter((each) => each !== series[index]);
      if (event.detail === 2) {  // twice: this one alone, or all of them again
        const all = others.some((each) => each.shown);
        for (const each of others) each.shown = !all;
        series[index].shown = true;
      } else series[index].shown = !series[index].shown;
      figure.querySelectorAll(".legend button").forEach((each, place) =>
        each.setAttribute("aria-pressed", series[place].shown));
      redraw();
    });
  }

  const nearest = (points, x) => {
    let low = 0, high = points.length - 1;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (points[middle][0] < x) low = middle; else high = middle;
    }
    return Math.abs(points[low][0] - x) <= Math.abs(points[high][0] - x) ? points[low] : points[high];
  };
  const labels = [...svg.querySelectorAll("text.x-label")].map((text) => text.textContent);
  const show = (wanted) => {
    const found = visible().map((each) => ({ ...each, at: nearest(each.drawn, wanted) }));
    if (!found.length) return;
    const x = found.reduce((best, { at: [candidate] }) =>
      Math.abs(candidate - wanted) < Math.abs(best - wanted) ? candidate : best, found[0].at[0]);
    const [bottom, top] = svg.dataset.y.split(" ").slice(2, 4);
    rule.setAttribute("d", `M${across.pixel(x)} ${top}V${bottom}`);
    for (const { dot } of series) dot.setAttribute("visibility", "hidden");
    for (const { dot, at: [px, py] } of found) {
      dot.setAttribute("visibility", "inherit");
      dot.firstChild.setAttribute("cx", across.pixel(px));
      dot.firstChild.setAttribute("cy", up.pixel(py));
    }
    cursor.setAttribute("visibility", "visible");
    const said = found.map(({ name, at: [px, py] }) => `${name} ${+py.toPrecision(5)}` + (px === x ? "" : ` (at ${px})`));
    readout.textContent = [`${labels[0] || "x"} ${x}`, ...said].join(" · ");
    current = x;
  };
  let current = null;
  const rest = () => {
    cursor.setAttribute("visibility", "hidden");
    readout.replaceChildren(...atRest.map((node) => node.cloneNode(true)));
    current = null;
  };
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    show(across.value(((event.clientX - box.left) / box.width) * svg.viewBox.baseVal.width));
  });
  svg.addEventListener("pointerleave", rest);
  svg.addEventListener("blur", rest);
  svg.setAttribute("tabindex", "0");
  svg.addEventListener("keydown", (event) => {
    const direction = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!direction) return;
    event.preventDefault();
    const all = [...new Set(visible().flatMap(({ drawn }) => drawn.map(([x]) => x)))].sort((a, b) => a - b);
    const place = current === null ? (direction > 0 ? -1 : all.length) : all.indexOf(current);
    show(all[Math.min(Math.max(place + direction, 0), all.length - 1)]);
  });
}

if (tools) {
  tools.hidden = false;
  tools.addEventListener("input", () => charts.forEach((redraw) => redraw()));
  tools.addEventListener("submit", (event) => event.preventDefault());
}
