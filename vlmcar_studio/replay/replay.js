// One trajectory, frame by frame: the picture with what the code sees, and a lane per checker.
// Frames come from the app's own route; everything is drawn here, so stepping costs no round trip.
// Python is told the chosen frame a quarter of a second after the last move.

const COMMIT_MS = 250;
const LANE = 22;
const LABEL_WIDTH = 230;
const NARROW = 560;
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

// Whether somebody asked for a place since the page was opened. A player of another trajectory is another component,
// so the page remembers, and not the player.
function asksToArrive(jump) {
  const before = globalThis.vlmcarJump;
  globalThis.vlmcarJump = jump;
  return before !== undefined && jump > before;
}

class View {
  constructor(root, data) {
    this.root = root;
    this.id = data.id;
    this.images = new Map();
    this.broken = new Set();
    this.hidden = new Set();
    this.playing = null;
    this.frame = Math.max(0, Math.min(data.start, data.order.length - 1));
    this.find();
    this.listen();
    this.update(data);
  }

  find() {
    const get = (name) => this.root.querySelector(`[data-part="${name}"]`);
    for (const name of ["now", "first", "lanes", "play", "back", "forth", "first-wrong", "prev", "next", "speed", "slider", "where", "values", "overlays", "status"]) {
      this[name] = get(name);
    }
    this.legend = get("legend");
  }

  update(data) {
    const moved = asksToArrive(data.jump);
    this.data = data;
    this.slider.max = data.order.length - 1;
    for (const button of [this["first-wrong"], this.prev, this.next]) button.disabled = data.wrong.length === 0;
    this.load();
    if (moved) this.arrive();
    else this.draw();
  }

  // Somebody asked for this place elsewhere on the page: show it, wherever the page is scrolled to.
  arrive() {
    this.pause();
    this.go(this.data.start);
    this.now.scrollIntoView({ block: "center" });
    this.now.focus({ preventScroll: true });
  }

  listen() {
    this.control = new AbortController();
    const on = (target, name, action) => target.addEventListener(name, action, { signal: this.control.signal });
    on(this.play, "click", () => this.toggle());
    on(this.back, "click", () => this.go(this.frame - 1));
    on(this.forth, "click", () => this.go(this.frame + 1));
    on(this["first-wrong"], "click", () => this.go(Math.min(...this.data.wrong.map((item) => item.frame))));
    on(this.prev, "click", () => this.jump(-1));
    on(this.next, "click", () => this.jump(1));
    on(this.slider, "input", () => this.go(Number(this.slider.value)));
    on(this.overlays, "change", () => this.draw());
    on(this.speed, "change", () => this.playing && this.start());
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
    for (const number of wanted) {
      if (this.images.has(number)) continue;
      const image = new Image();
      image.onload = () => this.draw();
      image.onerror = () => {
        this.broken.add(number);
        this.draw();
      };
      image.src = `${this.data.frames}/${number}.png`;
      this.images.set(number, image);
    }
  }

  // How the loading goes, in words; empty once everything is there.
  sayStatus() {
    const all = [...this.images.values()];
    const ready = all.filter((image) => image.complete && image.naturalWidth).length;
    const waiting = all.length - ready - this.broken.size;
    let text = waiting > 0 ? `Loading frames: ${ready} of ${all.length}` : "";
    if (this.broken.size) text = `${this.broken.size} frames cannot be loaded; reload the page to try again.`;
    if (this.status.textContent !== text) this.status.textContent = text;
  }

  go(frame) {
    this.frame = Math.max(0, Math.min(frame, this.data.order.length - 1));
    this.draw();
    clearTimeout(this.timer);
    if (!this.playing) this.timer = setTimeout(() => this.commit(this.frame), COMMIT_MS);
  }

  toggle() {
    if (this.playing) {
      this.pause();
      return;
    }
    if (this.frame >= this.data.order.length - 1) this.go(0);
    this.start();
  }

  start() {
    clearInterval(this.playing);
    clearTimeout(this.timer);
    this.playing = setInterval(() => {
      this.go(this.frame + 1);
      if (this.frame >= this.data.order.length - 1) this.pause();
    }, 1000 / Number(this.speed.value));
    this.play.textContent = "Pause";
  }

  pause() {
    if (!this.playing) return;
    clearInterval(this.playing);
    this.playing = null;
    this.play.textContent = "Play";
    this.go(this.frame);
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
    const left = this.labelWidth();
    const x = event.clientX - this.lanes.getBoundingClientRect().left;
    if (x >= left - 6) this.go(Math.floor((x - left) / this.stepWidth()));
  }

  narrow() {
    return this.root.clientWidth < NARROW;
  }

  // On a narrow screen a lane's title stands above it, else to its left.
  labelWidth() {
    return this.narrow() ? 2 : LABEL_WIDTH;
  }

  stepWidth() {
    return (this.root.clientWidth - this.labelWidth() - 2) / this.data.order.length;
  }

  draw() {
    const last = this.data.order.length - 1;
    this.slider.value = this.frame;
    this.slider.setAttribute("aria-valuetext", `frame ${this.frame} of ${last}`);
    this.where.textContent = `frame ${this.frame} of ${last}`;
    this.back.disabled = this.frame === 0;
    this.forth.disabled = this.frame === last;
    this.picture(this.now, this.data.order[this.frame]);
    this.picture(this.first, this.data.order[0]);
    this.drawLanes();
    this.drawValues();
    this.drawLegend();
    this.sayStatus();
  }

  seen(number) {
    if (!this.overlays.checked) return [];
    return (this.data.overlays[number] || []).filter((item) => !this.hidden.has(item.name));
  }

  picture(canvas, number) {
    const image = this.images.get(number);
    if (!image || !image.complete || !image.naturalWidth) return;
    const zoom = Math.max(1, Math.ceil(480 / image.naturalWidth));
    canvas.width = image.naturalWidth * zoom;
    canvas.height = image.naturalHeight * zoom;
    const pen = canvas.getContext("2d");
    pen.imageSmoothingEnabled = false;
    pen.drawImage(image, 0, 0, canvas.width, canvas.height);
    for (const item of this.seen(number)) this.outline(pen, item, zoom);
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
    const rise = this.narrow() ? LANE * 2 - 4 : LANE;
    const bottom = lanes.length * rise;
    this.lanes.style.height = `${bottom + 18}px`;
    this.lanes.width = width * ratio;
    this.lanes.height = (bottom + 18) * ratio;
    const pen = this.lanes.getContext("2d");
    pen.scale(ratio, ratio);
    const style = getComputedStyle(this.root);
    pen.font = `13px ${style.fontFamily}`;
    const ink = style.color;
    lanes.forEach((lane, row) => this.drawLane(pen, lane, row * rise, width, ink));
    const middle = (frame) => this.labelWidth() + (frame + 0.5) * this.stepWidth();
    for (const item of this.data.wrong) this.sign(pen, "▲", middle(item.frame), bottom + 14, "#d1495b");
    pen.strokeStyle = ink;
    pen.lineWidth = 2;
    pen.beginPath();
    pen.moveTo(middle(this.frame), 0);
    pen.lineTo(middle(this.frame), bottom);
    pen.stroke();
  }

  drawLane(pen, lane, top, width, ink) {
    const left = this.labelWidth();
    const step = this.stepWidth();
    pen.fillStyle = ink;
    pen.fillText(this.fitted(pen, lane.title, (this.narrow() ? width : left) - 10), 0, top + 15);
    const floor = top + (this.narrow() ? LANE * 2 - 8 : LANE - 4);
    const tall = LANE - 8;
    pen.strokeStyle = "#8888";
    pen.lineWidth = 1;
    pen.strokeRect(left - 0.5, floor - tall - 0.5, width - left - 1, tall + 1);
    lane.values.forEach((value, frame) => {
      const x = left + frame * step;
      if (value === null) {
        this.hatch(pen, x, floor, Math.max(2, step), tall);
      } else if (value > 0) {
        pen.fillStyle = value >= 1 ? "#2a9d8f" : "#8ab4c4";
        pen.fillRect(x, floor - tall * value, Math.max(1.5, step + 0.3), tall * value);
      }
    });
    if (lane.completed !== null) this.sign(pen, "◆", left + (lane.completed + 0.5) * step, floor - 1, ink);
  }

  hatch(pen, x, floor, wide, tall) {
    pen.save();
    pen.beginPath();
    pen.rect(x, floor - tall, wide, tall);
    pen.clip();
    pen.strokeStyle = "#d1495b";
    pen.lineWidth = 1.5;
    pen.beginPath();
    // The lines start at multiples of 5 of the canvas, so that they run on through neighbouring frames.
    for (let at = Math.floor((x - tall) / 5) * 5; at < x + wide; at += 5) {
      pen.moveTo(at, floor);
      pen.lineTo(at + tall, floor - tall);
    }
    pen.stroke();
    pen.restore();
  }

  fitted(pen, text, width) {
    if (pen.measureText(text).width <= width) return text;
    let short = text;
    while (short && pen.measureText(`${short}…`).width > width) short = short.slice(0, -1);
    return `${short}…`;
  }

  sign(pen, text, x, floor, colour) {
    pen.fillStyle = colour;
    pen.fillText(text, x - pen.measureText(text).width / 2, floor);
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

  // A button per object: what it is, whether it is drawn.
  drawLegend() {
    const found = this.data.overlays[this.data.order[this.frame]] || [];
    const names = this.data.objects.join("\n");
    if (this.listed !== names) {
      this.listed = names;
      this.legend.replaceChildren(...this.data.objects.map((name) => this.objectButton(name)));
    }
    [...this.legend.children].forEach((button, index) => {
      const name = this.data.objects[index];
      const item = found.find((one) => one.name === name);
      button.setAttribute("aria-pressed", String(this.overlays.checked && !this.hidden.has(name)));
      button.textContent = `${name}: ${item ? item.text : "nothing"}`;
    });
  }

  objectButton(name) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "object";
    button.title = "Draw it, or not";
    button.style.borderColor = this.colour(name);
    button.addEventListener("click", () => {
      if (this.hidden.has(name)) this.hidden.delete(name);
      else this.hidden.add(name);
      this.draw();
    });
    return button;
  }
}
