// One trajectory, frame by frame: the picture with what the code sees, and a lane per checker.
// Frames come from the app's own route; everything is drawn here, so stepping costs no round trip.
// Python is told the chosen frame a quarter of a second after the last move.

const COMMIT_MS = 250;
const LANE = 22;
const LABEL_WIDTH = 190;
const COLOURS = ["#e4572e", "#17bebb", "#ffc914", "#9d6bdb", "#76b041", "#f25f9c"];

export default function (component) {
  const { data, parentElement, setStateValue } = component;
  const root = parentElement.querySelector(".replay");
  if (!root) return;
  let view = root.view;
  if (!view || view.id !== data.id) {
    if (view) view.stop();
    view = new View(root, data);
    root.view = view;
  } else {
    view.update(data);
  }
  view.commit = (frame) => setStateValue("frame", frame);
  return () => {
    if (root.view) root.view.stop();
    root.view = null;
  };
}

class View {
  constructor(root, data) {
    this.root = root;
    this.id = data.id;
    this.images = new Map();
    this.playing = null;
    this.frame = Math.max(0, Math.min(data.start, data.order.length - 1));
    this.find();
    this.listen();
    this.update(data);
  }

  find() {
    const get = (name) => this.root.querySelector(`[data-part="${name}"]`);
    for (const name of ["now", "first", "lanes", "play", "back", "forth", "prev", "next", "speed", "slider", "where", "values", "overlays", "status"]) {
      this[name] = get(name);
    }
    this.legend = get("legend");
  }

  update(data) {
    const moved = this.data && data.jump !== this.data.jump;
    this.data = data;
    this.slider.max = data.order.length - 1;
    this.prev.disabled = this.next.disabled = data.wrong.length === 0;
    if (moved) this.frame = Math.max(0, Math.min(data.start, data.order.length - 1));
    this.load();
    this.draw();
  }

  listen() {
    this.control = new AbortController();
    const on = (target, name, action) => target.addEventListener(name, action, { signal: this.control.signal });
    on(this.play, "click", () => this.toggle());
    on(this.back, "click", () => this.go(this.frame - 1));
    on(this.forth, "click", () => this.go(this.frame + 1));
    on(this.prev, "click", () => this.jump(-1));
    on(this.next, "click", () => this.jump(1));
    on(this.slider, "input", () => this.go(Number(this.slider.value)));
    on(this.overlays, "change", () => this.draw());
    on(this.lanes, "click", (event) => this.pick(event));
    on(this.now, "keydown", (event) => this.key(event));
    this.sizes = new ResizeObserver(() => this.draw());
    this.sizes.observe(this.root);
  }

  stop() {
    this.control.abort();
    this.sizes.disconnect();
    clearInterval(this.playing);
    clearTimeout(this.timer);
    this.playing = null;
  }

  load() {
    const wanted = new Set(this.data.order);
    let waiting = 0;
    for (const number of wanted) {
      if (this.images.has(number)) continue;
      const image = new Image();
      waiting += 1;
      image.onload = () => this.draw();
      image.onerror = () => {
        this.status.textContent = `Frame ${number} cannot be loaded; reload the page.`;
      };
      image.src = `${this.data.frames}/${number}.png`;
      this.images.set(number, image);
    }
    if (waiting) this.status.textContent = "";
  }

  go(frame) {
    this.frame = Math.max(0, Math.min(frame, this.data.order.length - 1));
    this.draw();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.commit(this.frame), COMMIT_MS);
  }

  toggle() {
    if (this.playing) {
      clearInterval(this.playing);
      this.playing = null;
    } else {
      if (this.frame >= this.data.order.length - 1) this.go(0);
      this.playing = setInterval(() => {
        this.go(this.frame + 1);
        if (this.frame >= this.data.order.length - 1) this.toggle();
      }, 1000 / Number(this.speed.value));
    }
    this.play.textContent = this.playing ? "Pause" : "Play";
  }

  jump(direction) {
    const frames = this.data.wrong.map((item) => item.frame);
    const ahead = frames.filter((frame) => (direction > 0 ? frame > this.frame : frame < this.frame));
    const target = direction > 0 ? Math.min(...ahead) : Math.max(...ahead);
    if (Number.isFinite(target)) this.go(target);
    else if (frames.length) this.go(direction > 0 ? Math.min(...frames) : Math.max(...frames));
  }

  key(event) {
    const steps = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10 };
    if (event.key in steps) this.go(this.frame + steps[event.key]);
    else if (event.key === "Home") this.go(0);
    else if (event.key === "End") this.go(this.data.order.length - 1);
    else if (event.key === " ") this.toggle();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  pick(event) {
    const box = this.lanes.getBoundingClientRect();
    const left = this.labelWidth();
    const share = (event.clientX - box.left - left) / (box.width - left - 4);
    if (share >= -0.02) this.go(Math.round(share * (this.data.order.length - 1)));
  }

  labelWidth() {
    return this.lanes.clientWidth < 480 ? 84 : LABEL_WIDTH;
  }

  draw() {
    const last = this.data.order.length - 1;
    this.slider.value = this.frame;
    this.where.textContent = `frame ${this.frame} of ${last}`;
    const shown = this.overlays.checked;
    this.picture(this.now, this.data.order[this.frame], shown ? this.data.overlays[this.data.order[this.frame]] : null);
    this.picture(this.first, this.data.order[0], shown ? this.data.overlays[this.data.order[0]] : null);
    this.drawLanes();
    this.drawValues();
    this.drawLegend(shown);
  }

  picture(canvas, number, seen) {
    const image = this.images.get(number);
    if (!image || !image.complete || !image.naturalWidth) return;
    const zoom = Math.max(1, Math.ceil(480 / image.naturalWidth));
    canvas.width = image.naturalWidth * zoom;
    canvas.height = image.naturalHeight * zoom;
    const pen = canvas.getContext("2d");
    pen.imageSmoothingEnabled = false;
    pen.drawImage(image, 0, 0, canvas.width, canvas.height);
    for (const item of seen || []) this.outline(pen, item, zoom);
  }

  outline(pen, item, zoom) {
    const colour = this.colour(item.name);
    pen.lineWidth = 3;
    for (const [style, width] of [["#000", 5], [colour, 3]]) {
      pen.strokeStyle = style;
      pen.lineWidth = width;
      for (const polygon of item.polygons) {
        pen.beginPath();
        polygon.forEach(([x, y], index) => (index ? pen.lineTo(x * zoom, y * zoom) : pen.moveTo(x * zoom, y * zoom)));
        pen.closePath();
        pen.stroke();
      }
    }
    if (item.polygons.length) {
      const [x, y] = item.polygons[0].reduce((best, point) => (point[1] < best[1] ? point : best));
      pen.font = "600 15px sans-serif";
      const width = pen.measureText(item.name).width;
      const left = Math.min(Math.max(0, x * zoom), pen.canvas.width - width - 8);
      const top = Math.max(18, y * zoom - 4);
      pen.fillStyle = "#000c";
      pen.fillRect(left, top - 15, width + 8, 19);
      pen.fillStyle = "#fff";
      pen.fillText(item.name, left + 4, top);
    }
  }

  colour(name) {
    return COLOURS[Math.max(0, this.data.objects.indexOf(name)) % COLOURS.length];
  }

  drawLanes() {
    const lanes = this.data.lanes;
    const ratio = window.devicePixelRatio || 1;
    const width = this.root.clientWidth || 600;
    const height = lanes.length * LANE + 16;
    this.lanes.style.height = `${height}px`;
    this.lanes.width = width * ratio;
    this.lanes.height = height * ratio;
    const pen = this.lanes.getContext("2d");
    pen.scale(ratio, ratio);
    const style = getComputedStyle(this.root);
    const text = style.getPropertyValue("--text").trim() || "#333";
    const left = this.labelWidth();
    const count = this.data.order.length;
    const step = (width - left - 4) / Math.max(1, count - 1);
    const x = (frame) => left + frame * step;
    pen.font = "13px sans-serif";
    lanes.forEach((lane, row) => {
      const top = row * LANE;
      pen.fillStyle = text;
      pen.save();
      pen.beginPath();
      pen.rect(0, top, left - 8, LANE);
      pen.clip();
      pen.fillText(lane.title, 0, top + 15);
      pen.restore();
      pen.strokeStyle = "#8886";
      pen.strokeRect(left, top + 3, width - left - 4, LANE - 6);
      lane.values.forEach((value, frame) => {
        const wide = Math.max(2, step);
        if (value === null) {
          pen.fillStyle = "#c0392b";
          pen.fillText("×", x(frame) - 4, top + 16);
        } else if (value > 0) {
          const full = value >= 1;
          pen.fillStyle = full ? "#2a9d8f" : "#8ab4c4";
          const tall = (LANE - 8) * value;
          pen.fillRect(x(frame) - (frame ? wide / 2 : 0), top + LANE - 4 - tall, wide, tall);
        }
      });
      if (lane.completed !== null) this.mark(pen, x(lane.completed), top, "◆", text);
    });
    for (const item of this.data.wrong) this.mark(pen, x(item.frame), lanes.length * LANE - 4, "▲", "#e4572e");
    pen.strokeStyle = text;
    pen.lineWidth = 2;
    pen.beginPath();
    pen.moveTo(x(this.frame), 0);
    pen.lineTo(x(this.frame), lanes.length * LANE);
    pen.stroke();
  }

  mark(pen, x, top, sign, colour) {
    pen.fillStyle = colour;
    pen.fillText(sign, x - 5, top + 16);
  }

  drawValues() {
    const lines = this.data.lanes.map((lane) => {
      const value = lane.values[this.frame];
      const said = value === null ? `failed: ${lane.faults[this.frame] || "no answer"}` : value >= 1 ? "done" : value > 0 ? `${Math.round(value * 100)} %` : "not done";
      const turn = lane.completed !== null && this.frame >= lane.completed ? ", counted" : "";
      return `${lane.title}: ${said}${turn}`;
    });
    const wrong = this.data.wrong.filter((item) => item.frame === this.frame).map((item) => `Wrong here: ${item.reason}`);
    this.values.replaceChildren(
      ...[...lines, ...wrong].map((line) => {
        const item = document.createElement("li");
        item.textContent = line;
        return item;
      }),
    );
  }

  drawLegend(shown) {
    const number = this.data.order[this.frame];
    const seen = this.data.overlays[number] || [];
    this.legend.replaceChildren(
      ...(shown ? this.data.objects : []).map((name) => {
        const item = document.createElement("span");
        const found = seen.find((one) => one.name === name);
        item.className = "object";
        item.style.borderColor = this.colour(name);
        item.textContent = `${name}: ${found ? found.text : "nothing"}`;
        return item;
      }),
    );
  }
}
