// Charts that grow: each refresh brings all points, and only what has changed is drawn anew.
// One zoom for all charts of the component; it is kept while points arrive.

const HEIGHT = 220;
const STEP_SHARE = 0.7; // of what is seen, after one press of +
const THIN = 1;
const THICK = 2.2;

export default function (component) {
  const { data, parentElement } = component;
  const root = parentElement.querySelector(".charts");
  if (!root) return;
  const status = root.querySelector('[data-part="status"]');
  root.wanted = data;
  loaded(data.library).then(
    (uPlot) => {
      if (root.wanted !== data) return; // newer data came while the library was on its way
      status.textContent = data.charts.length ? "" : "Nothing to draw yet.";
      root.board ??= new Board(root, uPlot);
      root.board.update(data.charts);
    },
    () => (status.textContent = "The charts cannot be loaded; reload the page to try again."),
  );
  return () => {
    root.wanted = null;
    if (root.board) root.board.stop();
    root.board = null;
  };
}

// The library is the same for all components of the page. This code is a blob, so the address has to be a whole one.
function loaded(path) {
  globalThis.vlmcarPlot ??= import(new URL(path, globalThis.location.origin).href).then((module) => module.default);
  return globalThis.vlmcarPlot;
}

class Board {
  constructor(root, uPlot) {
    this.root = root;
    this.uPlot = uPlot;
    this.seen = null; // [from, to] in steps; null for the whole run
    this.panels = new Map();
    this.grid = root.querySelector('[data-part="grid"]');
    this.whole = root.querySelector('[data-part="whole"]');
    this.control = new AbortController();
    this.whole.addEventListener("click", () => this.look(null), { signal: this.control.signal });
    this.sizes = new ResizeObserver(() => this.panels.forEach((panel) => panel.resize()));
    this.sizes.observe(this.grid);
  }

  update(charts) {
    for (const [key, panel] of this.panels) {
      if (charts.some((chart) => chart.key === key && panel.fits(chart))) continue;
      panel.stop();
      this.panels.delete(key);
    }
    for (const chart of charts) {
      let panel = this.panels.get(chart.key);
      if (!panel) {
        panel = new Panel(this, chart);
        this.panels.set(chart.key, panel);
      }
      panel.update(chart);
    }
    const order = charts.map((chart) => this.panels.get(chart.key).element);
    if (order.some((element, place) => this.grid.children[place] !== element)) this.grid.append(...order);
  }

  // Show these steps in every chart.
  look(range) {
    this.seen = range;
    this.whole.disabled = range === null;
    this.panels.forEach((panel) => panel.look());
  }

  stop() {
    this.control.abort();
    this.sizes.disconnect();
    this.panels.forEach((panel) => panel.stop());
    this.panels.clear();
  }
}

class Panel {
  constructor(board, chart) {
    this.board = board;
    const template = board.root.querySelector('template[data-part="chart"]');
    this.element = template.content.firstElementChild.cloneNode(true);
    for (const name of ["title", "plot", "at", "values", "note"]) this[name] = this.element.querySelector(`[data-part="${name}"]`);
    board.grid.append(this.element);
    this.chart = chart;
    this.names = signature(chart);
    this.title.textContent = chart.title;
    this.note.textContent = chart.note;
    this.shown = chart.lines.map(() => true);
    this.rows = chart.lines.map((line, place) => this.newRow(line, place));
    this.plot.addEventListener("keydown", (event) => this.key(event));
    this.plot.addEventListener("blur", () => this.leave());
  }

  // Whether this panel can show a chart without being made anew.
  fits(chart) {
    return signature(chart) === this.names;
  }

  newRow(line, place) {
    const row = this.values.insertRow();
    const button = document.createElement("button");
    const name = document.createElement("span");
    name.textContent = line.name;
    button.type = "button";
    button.title = "Show or hide this line";
    button.setAttribute("aria-pressed", "true");
    button.append(swatch(line), name);
    button.addEventListener("click", () => this.toggle(place, button));
    row.insertCell().append(button);
    return row.insertCell();
  }

  toggle(place, button) {
    this.shown[place] = !this.shown[place];
    button.setAttribute("aria-pressed", String(this.shown[place]));
    this.series.forEach((owner, number) => owner === place && this.view.setSeries(number + 1, { show: this.shown[place] }));
  }

  update(chart) {
    this.chart = chart;
    const { tables, series, owners, bands } = this.parts(chart);
    const points = this.board.uPlot.join(tables);
    this.series = owners;
    if (this.view) {
      this.view.setData(points, this.board.seen === null);
      this.look();
    } else {
      this.view = new this.board.uPlot(this.options(series, bands), points, this.plot);
      if (this.board.seen) this.look();
    }
    this.tell();
  }

  // A table of points for each line; a band is two more lines that nobody sees.
  parts(chart) {
    const tables = [];
    const series = [];
    const owners = [];
    const bands = [];
    chart.lines.forEach((line, place) => {
      if (line.low) {
        bands.push({ series: [series.length + 2, series.length + 1], fill: `${line.colour}33` });
        tables.push([line.steps, line.low, line.high]);
        for (const edge of ["low", "high"]) series.push({ label: `${line.name} ${edge}`, stroke: "transparent", points: { show: false } });
        owners.push(place, place);
      }
      tables.push([line.steps, line.values]);
      series.push({
        label: line.name,
        stroke: line.colour,
        width: line.thin ? THIN : THICK,
        alpha: line.thin ? 0.6 : 1,
        dash: line.dash.length ? line.dash : undefined,
        points: { show: line.steps.length < 2 },
      });
      owners.push(place);
    });
    return { tables, series, owners, bands };
  }

  options(series, bands) {
    const colour = (name) => () => getComputedStyle(this.board.root).getPropertyValue(name).trim() || "#888";
    const axis = { stroke: colour("--text"), grid: { stroke: "#8883", width: 1 }, ticks: { stroke: "#8885", width: 1 }, font: "11px sans-serif" };
    const share = this.chart.unit === "%";
    return {
      width: this.width(),
      height: HEIGHT,
      legend: { show: false },
      cursor: { drag: { x: true, y: false, setScale: false }, points: { size: 6 } },
      scales: { x: { time: false }, y: share ? { range: [-0.02, 1.02] } : {} },
      axes: [
        { ...axis, values: (_, steps) => steps.map(stepsWords), space: 60 },
        { ...axis, values: (_, values) => values.map((value) => words(value, this.chart.unit)), size: 56 },
      ],
      series: [{}, ...series],
      bands,
      hooks: {
        setSelect: [(view) => this.chosen(view)],
        setCursor: [() => this.tell()],
      },
    };
  }

  // A stretch was dragged over.
  chosen(view) {
    const { left, width } = view.select;
    if (width > 4) this.board.look([view.posToVal(left, "x"), view.posToVal(left + width, "x")]);
    view.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
  }

  look() {
    const steps = this.view.data[0];
    const [from, to] = this.board.seen ?? [steps[0] ?? 0, steps[steps.length - 1] ?? 1];
    this.view.setScale("x", { min: from, max: Math.max(to, from + 1e-6) });
  }

  width() {
    return Math.max(200, this.plot.clientWidth);
  }

  resize() {
    if (this.view && this.view.width !== this.width()) this.view.setSize({ width: this.width(), height: HEIGHT });
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const last = this.view.data[0].length - 1;
    const here = this.view.cursor.idx ?? last;
    const keys = {
      ArrowLeft: () => this.walk(here - 1),
      ArrowRight: () => this.walk(here + 1),
      Home: () => this.walk(0),
      End: () => this.walk(last),
      "+": () => this.zoom(STEP_SHARE, here),
      "=": () => this.zoom(STEP_SHARE, here),
      "-": () => this.zoom(1 / STEP_SHARE, here),
      0: () => this.board.look(null),
      Escape: () => this.leave(),
    };
    if (!(event.key in keys)) return;
    keys[event.key]();
    event.preventDefault();
    event.stopPropagation();
  }

  walk(place) {
    const steps = this.view.data[0];
    const to = Math.max(0, Math.min(place, steps.length - 1));
    const { min, max } = this.view.scales.x;
    if (steps[to] < min || steps[to] > max) {
      const half = (max - min) / 2;
      this.board.look([steps[to] - half, steps[to] + half]);
    }
    this.view.setCursor({ left: this.view.valToPos(steps[to], "x"), top: 0 });
  }

  zoom(share, place) {
    const { min, max } = this.view.scales.x;
    const middle = this.view.data[0][place];
    const all = this.view.data[0];
    const from = Math.max(all[0], middle - (middle - min) * share);
    const to = Math.min(all[all.length - 1], middle + (max - middle) * share);
    this.board.look(from <= all[0] && to >= all[all.length - 1] ? null : [from, to]);
  }

  leave() {
    this.view.setCursor({ left: -10, top: -10 });
  }

  // The values where the cursor is, else the latest; they are the chart in words, too.
  tell() {
    const view = this.view;
    if (!view) return;
    const place = view.cursor.idx ?? null;
    const at = place === null ? null : view.data[0][place];
    const told = this.chart.lines.map((line) => valueAt(line, at));
    const steps = at ?? Math.max(0, ...this.chart.lines.map((line) => line.steps[line.steps.length - 1] ?? 0));
    this.at.textContent = `${at === null ? "latest, after" : "after"} ${Math.round(steps).toLocaleString("en")} steps`;
    told.forEach((value, number) => {
      const text = value === null ? "—" : words(value, this.chart.unit);
      if (this.rows[number].textContent !== text) this.rows[number].textContent = text;
    });
    if (at !== null) return;
    const spoken = this.chart.lines.map((line, number) => `${line.name} ${this.rows[number].textContent}`);
    this.plot.setAttribute("aria-label", `${this.chart.title}, ${this.at.textContent}: ${spoken.join("; ")}`);
  }

  stop() {
    if (this.view) this.view.destroy();
    this.view = null;
    this.element.remove();
  }
}

// A line's last value at or before these steps; its last one of all for null.
function valueAt(line, steps) {
  for (let place = line.steps.length - 1; place >= 0; place--) {
    if ((steps === null || line.steps[place] <= steps) && line.values[place] !== null) return line.values[place];
  }
  return null;
}

// Everything of a chart but its points.
function signature(chart) {
  const lines = chart.lines.map((line) => [line.name, line.colour, line.dash, line.thin, Boolean(line.low)]);
  return JSON.stringify([chart.title, chart.unit, chart.note, lines]);
}

function swatch(line) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  const stroke = document.createElementNS(space, "line");
  svg.setAttribute("class", "swatch");
  svg.setAttribute("viewBox", "0 0 32 8");
  svg.setAttribute("aria-hidden", "true");
  const look = { x1: 0, x2: 32, y1: 4, y2: 4, stroke: line.colour, "stroke-width": line.thin ? 1.5 : 4, "stroke-dasharray": line.dash.join(" ") };
  for (const [name, value] of Object.entries(look)) stroke.setAttribute(name, value);
  svg.append(stroke);
  return svg;
}

function words(value, unit) {
  if (unit === "%") return `${Number((100 * value).toPrecision(3))} %`;
  const size = Math.abs(value);
  const text = size >= 1000 ? Math.round(value).toLocaleString("en") : String(Number(value.toPrecision(3)));
  return unit ? `${text} ${unit}` : text;
}

function stepsWords(steps) {
  if (Math.abs(steps) >= 1e6) return `${Number((steps / 1e6).toPrecision(3))}M`;
  return Math.abs(steps) >= 1e3 ? `${Number((steps / 1e3).toPrecision(3))}k` : String(steps);
}
