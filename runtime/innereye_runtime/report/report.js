// Values under the pointer, for each chart; without this script a chart's summary stands in the same place.
for (const figure of document.querySelectorAll("figure.chart, figure.picture")) {
  const svg = figure.querySelector("svg.chart");
  if (!svg) continue;
  const axis = (text) => {
    const [low, high, start, end, log] = text.split(" ");
    const scale = log ? Math.log10 : (value) => value;
    const from = scale(+low), to = scale(+high);
    return {
      pixel: (value) => +start + ((scale(value) - from) / (to - from)) * (end - start),
      value: (pixel) => from + ((pixel - start) / (end - start)) * (to - from),
    };
  };
  const across = axis(svg.dataset.x), up = axis(svg.dataset.y);
  const series = [...svg.querySelectorAll(".series")].map((element) => ({
    element,
    name: element.dataset.name,
    points: element.dataset.points.split(" ").map((pair) => pair.split(",").map(Number)),
  }));
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
  const dots = series.map(({ element }) => {
    const group = make("g", { class: element.getAttribute("class").replace("series", "") });
    group.append(make("circle", { class: "dot", r: 3.2 }));
    return group;
  });
  cursor.append(rule, ...dots);
  svg.append(cursor);

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
    const found = series.map(({ points }) => nearest(points, wanted));
    const x = found.reduce((best, [candidate]) =>
      Math.abs(candidate - wanted) < Math.abs(best - wanted) ? candidate : best, found[0][0]);
    const [bottom, top] = svg.dataset.y.split(" ").slice(2, 4);
    rule.setAttribute("d", `M${across.pixel(x)} ${top}V${bottom}`);
    found.forEach(([px, py], index) => {
      const dot = dots[index].firstChild;
      dot.setAttribute("cx", across.pixel(px));
      dot.setAttribute("cy", up.pixel(py));
    });
    cursor.setAttribute("visibility", "visible");
    const said = series.map(({ name }, index) => {
      const [px, py] = found[index];
      return `${name} ${py}` + (px === x ? "" : ` (at ${px})`);
    });
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
    const all = [...new Set(series.flatMap(({ points }) => points.map(([x]) => x)))].sort((a, b) => a - b);
    const place = current === null ? (direction > 0 ? -1 : all.length) : all.indexOf(current);
    show(all[Math.min(Math.max(place + direction, 0), all.length - 1)]);
  });
}
