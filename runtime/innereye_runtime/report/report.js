// Of each chart: values under the pointer, lines switched on and off by its legend, a logarithmic axis, smoothing, and
// epochs, steps or time across. Without this script a chart and its summary stand as they are.
const charts = [];
const tools = document.querySelector("form.tools");
const nice = (about) => {
  const power = 10 ** Math.floor(Math.log10(about));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= about * 0.999);
};
const shortened = (value) => String(+value.toPrecision(4)).replace("e+", "e");
// When each epoch ended: its number, its last step, and the seconds until then.
const clock = tools && tools.dataset.clock ? tools.dataset.clock.split(" ").map((row) => row.split(",").map(Number)) : [];
const units = { epoch: 0, step: 1, time: 2 };
const interpolated = (value, from, to) => {
  let [left, right] = [[0, -1, 0], clock[0]];
  for (let index = 0; index + 1 < clock.length && value > right[from]; index++)
    [left, right] = [clock[index], clock[index + 1]];
  return left[to] + ((value - left[from]) / (right[from] - left[from])) * (right[to] - left[to]);
};
const last = clock.length ? clock[clock.length - 1][2] : 0;
const [timeUnit, secondsOfUnit] = last < 300 ? ["s", 1] : last < 10800 ? ["min", 60] : ["h", 3600];
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
  const xAsLogged = svg.dataset.x, label = svg.querySelector("text.x-label");
  const logged = label ? label.textContent : "";
  let across = axis(xAsLogged), unit = logged;
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

  const ticksBetween = (low, high) => {
    const step = nice((high - low) / 5), ticks = [];
    for (let index = Math.ceil(low / step - 1e-9); index <= high / step + 1e-9; index++)
      ticks.push(+(index * step).toPrecision(12));
    return ticks;
  };
  const relabel = (name, ticks, place) => {
    const old = svg.querySelectorAll(`text.${name}`), model = old[0];
    for (const tick of ticks) {
      const text = model.cloneNode();
      text.textContent = shortened(tick);
      place(text, tick);
      model.before(text);
    }
    for (const text of old) text.remove();
  };
  const asked = () => (tools && tools.elements.axis && logged in units && tools.elements.axis.value) || logged;
  const moved = (x) => {
    if (unit === logged) return x;
    const value = interpolated(x, units[logged], units[unit]);
    return unit === "time" ? value / secondsOfUnit : value;
  };
  const turn = () => {  // the other unit across
    unit = asked();
    label.textContent = unit === "time" ? `time (${timeUnit})` : unit;
    const { start, end } = across, xs = series.flatMap(({ points }) => points.map(([x]) => moved(x)));
    let low = Infinity, high = -Infinity;
    for (const x of xs) { low = Math.min(low, x); high = Math.max(high, x); }
    if (low === high) { low -= 0.5; high += 0.5; }
    if (unit === logged) [low, high] = xAsLogged.split(" ").map(Number);
    svg.dataset.x = `${low} ${high} ${start} ${end}`;
    across = axis(svg.dataset.x);
    relabel("x-tick", ticksBetween(low, high), (text, tick) => text.setAttribute("x", across.pixel(tick)));
    const before = axis(xAsLogged);
    for (const mark of svg.querySelectorAll(".marked"))
      mark.setAttribute("transform", `translate(${across.pixel(moved(+mark.dataset.at)) - before.pixel(+mark.dataset.at)})`);
  };

  const redraw = () => {
    if (asked() !== unit) turn();
    const weight = tools ? +tools.elements.smooth.value : 0;
    for (const each of series) {
      const points = unit === logged ? each.points : each.points.map(([x, y]) => [moved(x), y]);
      each.drawn = weight ? smoothed(points, weight) : points;
    }
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
      ticks = ticksBetween(Math.floor(low / step + 1e-9) * step, Math.ceil(high / step - 1e-9) * step);
      [low, high] = [ticks[0], ticks[ticks.length - 1]];
    }
    svg.dataset.y = `${low} ${high} ${up.start} ${up.end}${log ? " log" : ""}`;
    up = axis(svg.dataset.y);
    relabel("y-tick", ticks, (text, tick) => text.setAttribute("y", up.pixel(tick) + 4));
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
    const said = found.map(({ name, at: [px, py] }) => `${name} ${+py.toPrecision(5)}` + (px === x ? "" : ` (at ${+px.toPrecision(6)})`));
    readout.textContent = [`${label ? label.textContent : "x"} ${+x.toPrecision(6)}`, ...said].join(" · ");
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
