// One or two trajectories on one time axis: play, step, jump, mark, enlarge.

const COMMIT_MS = 250;
const FRAMES_A_SECOND = 8; // at speed 1
const SPEEDS = [0.25, 0.5, 1, 2, 4, 8];
const ZOOM_STEP = 1.5;
const DRAG_PIXELS = 4;

class Player {
  constructor(root, data) {
    this.root = root;
    this.id = data.id;
    this.playing = null;
    this.viewport = new Viewport();
    this.pixel = null; // the one that was clicked or chosen by keys
    this.pointed = null; // the one under the pointer
    this.anchor = null; // where a span that is being marked begins
    this.span = null;
    this.frame = Math.max(0, Math.min(data.start, this.lastOf(data)));
    for (const name of PARTS) this[name] = root.querySelector(`[data-part="${name}"]`);
    this.control = new AbortController();
    this.tracks = data.tracks.map((_, index) => this.newTrack(index));
    this.listen();
    this.update(data);
  }

  newTrack(index) {
    const copy = (name, place) => {
      const element = this.root.querySelector(`template[data-part="${name}"]`).content.firstElementChild.cloneNode(true);
      place.append(element);
      return element;
    };
    const track = new Track(this, copy("track", this.pictures), copy("timeline", this.timelines));
    for (const { shown } of track.pictures) this.listenToPicture(shown);
    const canvas = track.lanes.canvas;
    this.on(canvas, "click", (event) => {
      const { frame } = track.lanes.at(event);
      if (frame !== null) this.go(frame);
    });
    this.on(canvas, "pointermove", (event) => track.hint(event));
    this.on(canvas, "pointerleave", () => (track.parts.tip.hidden = true));
    this.on(canvas, "keydown", (event) => this.key(event));
    return track;
  }

  lastOf(data) {
    return Math.max(...data.tracks.map((track) => track.order.length)) - 1;
  }

  update(data) {
    const moved = asksToArrive(data.jump);
    if (this.data && this.data.marked !== data.marked) {
      if (this.span) this.commit("span", null);
      this.drop();
    }
    this.data = data;
    this.last = this.lastOf(data);
    this.slider.max = this.last;
    this.root.classList.toggle("two", data.tracks.length > 1);
    this.root.classList.toggle("no-marks", data.marks === false); // where nobody would hear of them
    this.tracks.forEach((track, index) => track.update(data.tracks[index], this.last + 1));
    this.changes = sorted(this.tracks.flatMap((track) => track.changes));
    this.disagreements = sorted(this.tracks.flatMap((track) => track.disagreements));
    for (const button of [this["first-wrong"], this.prev, this.next]) button.disabled = !this.disagreements.length;
    for (const button of [this["change-back"], this["change-forth"]]) button.disabled = !this.changes.length;
    if (moved) this.arrive();
    else this.go(this.frame, false);
  }

  // Somebody asked for this place elsewhere on the page: show it, wherever the page is scrolled to.
  arrive() {
    this.pause();
    this.go(this.data.start);
    this.tracks[0].now.scrollIntoView({ block: "center" });
    this.tracks[0].now.focus({ preventScroll: true });
  }

  on(target, name, action, options = {}) {
    target.addEventListener(name, action, { signal: this.control.signal, ...options });
  }

  listen() {
    const clicks = {
      play: () => this.toggle(),
      back: () => this.go(this.frame - 1),
      forth: () => this.go(this.frame + 1),
      "change-back": () => this.jump(this.changes, -1),
      "change-forth": () => this.jump(this.changes, 1),
      "first-wrong": () => this.go(this.disagreements[0]),
      prev: () => this.jump(this.disagreements, -1),
      next: () => this.jump(this.disagreements, 1),
      "mark-button": () => this.mark(),
      "zoom-in": () => this.zoom(ZOOM_STEP),
      "zoom-out": () => this.zoom(1 / ZOOM_STEP),
      "zoom-whole": () => this.zoom(0),
    };
    for (const [name, action] of Object.entries(clicks)) this.on(this[name], "click", action);
    this.on(this.slider, "input", () => this.go(Number(this.slider.value)));
    this.on(this.overlays, "change", () => this.draw());
    this.on(this.speed, "change", () => this.playing && this.start());
    this.sizes = new ResizeObserver(() => {
      for (const track of this.tracks) track.resize();
      this.align();
      this.draw();
    });
    this.sizes.observe(this.root);
  }

  // The slider runs above the time axis of the lanes.
  align() {
    const { left } = this.tracks[0].lanes;
    this.slider.style.marginLeft = `${left}px`;
    this.slider.style.width = `calc(100% - ${left}px)`;
  }

  listenToPicture(shown) {
    const { canvas } = shown;
    this.on(canvas, "keydown", (event) => this.key(event));
    this.on(canvas, "pointermove", (event) => this.point(shown, event));
    this.on(canvas, "pointerleave", () => this.point(shown, null));
    this.on(canvas, "pointerdown", (event) => {
      this.drag = { x: event.clientX, y: event.clientY, moved: false };
      if (this.viewport.zoom > 1) canvas.setPointerCapture(event.pointerId);
    });
    this.on(canvas, "pointerup", (event) => {
      if (this.drag && !this.drag.moved) this.pixel = shown.pixelAt(event);
      this.drag = null;
      this.draw();
    });
    // A wheel that nobody aimed at the picture scrolls the page, as everywhere.
    const wheel = (event) => {
      if (!event.ctrlKey && canvas.getRootNode().activeElement !== canvas) return;
      event.preventDefault();
      this.zoom(event.deltaY < 0 ? ZOOM_STEP : 1 / ZOOM_STEP, shown.shares(event));
    };
    this.on(canvas, "wheel", wheel, { passive: false });
  }

  // The pointer is over a picture, or has left it; with a button held it moves what is enlarged.
  point(shown, event) {
    if (event && event.buttons && this.drag && this.viewport.zoom > 1) {
      const box = shown.canvas.getBoundingClientRect();
      const [x, y] = [event.clientX - this.drag.x, event.clientY - this.drag.y];
      if (this.drag.moved || Math.hypot(x, y) > DRAG_PIXELS) {
        this.viewport.move(-x / box.width / this.viewport.zoom, -y / box.height / this.viewport.zoom);
        this.drag = { x: event.clientX, y: event.clientY, moved: true };
      }
    }
    this.pointed = event ? shown.pixelAt(event) : null;
    this.draw();
  }

  zoom(factor, [across, down] = [0.5, 0.5]) {
    if (factor) this.viewport.by(factor, across, down, this.tracks[0].pictures[0].shown.largest);
    else this.viewport.move(-1, -1, 1);
    this.draw();
  }

  // Choose another pixel by keys; the first time the one in the middle of what is shown.
  movePixel(x, y) {
    const { shown } = this.tracks[0].pictures[0];
    if (!shown.image) return;
    const { naturalWidth: width, naturalHeight: height } = shown.image;
    const { viewport } = this;
    const middle = [(viewport.x + 0.5 / viewport.zoom) * width, (viewport.y + 0.5 / viewport.zoom) * height].map(Math.floor);
    const to = this.pixel ? [this.pixel[0] + x, this.pixel[1] + y] : middle;
    this.pixel = [Math.max(0, Math.min(to[0], width - 1)), Math.max(0, Math.min(to[1], height - 1))];
    for (const corner of [0, 1]) viewport.show((this.pixel[0] + corner) / width, (this.pixel[1] + corner) / height);
    this.draw();
    this.heard.textContent = this.tracks[0].pictures[0].text.textContent;
  }

  stop() {
    this.control.abort();
    this.sizes.disconnect();
    clearInterval(this.playing);
    clearTimeout(this.timer);
    this.playing = null;
    for (const track of this.tracks) track.stop();
    this.pictures.replaceChildren();
    this.timelines.replaceChildren();
  }

  go(frame, commit = true) {
    this.frame = Math.max(0, Math.min(frame, this.last));
    for (const track of this.tracks) track.wish(this.frame);
    this.draw();
    if (!commit) return;
    clearTimeout(this.timer);
    if (!this.playing) this.timer = setTimeout(() => this.commit("frame", this.frame), COMMIT_MS);
  }

  toggle() {
    if (this.playing) return this.pause();
    if (this.frame >= this.last) this.go(0);
    this.start();
  }

  start() {
    clearInterval(this.playing);
    clearTimeout(this.timer);
    const tick = () => {
      // Playing waits for a picture that is not here yet; it never leaves one out.
      if (!this.tracks.every((track) => track.isReady(this.frame + 1))) return;
      this.go(this.frame + 1);
      if (this.frame >= this.last) this.pause();
    };
    this.playing = setInterval(tick, 1000 / (FRAMES_A_SECOND * Number(this.speed.value)));
    this.play.textContent = "Pause";
  }

  pause() {
    if (!this.playing) return;
    clearInterval(this.playing);
    this.playing = null;
    this.play.textContent = "Play";
    this.go(this.frame);
  }

  faster(steps) {
    const place = SPEEDS.indexOf(Number(this.speed.value)) + steps;
    this.speed.value = String(SPEEDS[Math.max(0, Math.min(place, SPEEDS.length - 1))]);
    this.say(`Speed ${this.speed.value}`);
    if (this.playing) this.start();
  }

  // To the next of some frames, round the end to the first.
  jump(frames, direction) {
    if (!frames.length) return;
    const ahead = frames.filter((frame) => (direction > 0 ? frame > this.frame : frame < this.frame));
    const among = ahead.length ? ahead : frames;
    this.go(direction > 0 ? among[0] : among[among.length - 1]);
  }

  // Once: a span begins here. Again: it ends here, and the page is told.
  mark() {
    if (this.data.marks === false) return;
    if (this.anchor === null) {
      this.anchor = this.frame;
      this.span = null;
      this.say(`A span begins at frame ${this.frame}: step to its end and press m again.`);
    } else {
      this.span = this.marking();
      this.anchor = null;
      this.say(`Frames ${this.span[0]} to ${this.span[1]} are chosen: say below what should be so.`);
      this.commit("span", this.span);
    }
    this.draw();
  }

  // The span so far; it is about the first trajectory, which may be over before the other one.
  marking() {
    if (this.anchor === null) return this.span;
    const [one, other] = [this.anchor, this.frame].map((frame) => this.tracks[0].own(frame));
    return [Math.min(one, other), Math.max(one, other)];
  }

  drop() {
    this.anchor = this.span = this.pixel = null;
    this.say("");
  }

  say(text) {
    this.said.textContent = text;
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const pixels = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const keys = {
      ArrowLeft: () => this.go(this.frame - 1),
      ArrowRight: () => this.go(this.frame + 1),
      PageUp: () => this.go(this.frame - 10),
      PageDown: () => this.go(this.frame + 10),
      Home: () => this.go(0),
      End: () => this.go(this.last),
      " ": () => this.toggle(),
      n: () => this.jump(this.changes, 1),
      p: () => this.jump(this.changes, -1),
      d: () => this.jump(this.disagreements, 1),
      D: () => this.jump(this.disagreements, -1),
      "+": () => this.faster(1),
      "=": () => this.faster(1),
      "-": () => this.faster(-1),
      m: () => this.mark(),
      z: () => this.zoom(ZOOM_STEP),
      Z: () => this.zoom(1 / ZOOM_STEP),
      0: () => this.zoom(0),
      Escape: () => {
        this.drop();
        this.draw();
      },
    };
    if (event.shiftKey && event.key in pixels) this.movePixel(...pixels[event.key]);
    else if (event.key in keys) keys[event.key]();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  draw() {
    if (!this.data) return;
    this.slider.value = this.frame;
    this.slider.setAttribute("aria-valuetext", `frame ${this.frame} of ${this.last}`);
    this.where.textContent = `frame ${this.frame} of ${this.last}`;
    this.back.disabled = this.frame === 0;
    this.forth.disabled = this.frame === this.last;
    this["mark-button"].textContent = this.anchor === null ? "Mark from here" : "… to here";
    this["zoom-size"].textContent = `${Math.round(this.viewport.zoom * 100)} %`;
    const span = this.marking();
    this.tracks.forEach((track, index) => track.draw(this.frame, this.pointed || this.pixel, index ? null : span));
    this.sayStatus();
  }

  // What is missing, in words; empty while nothing is.
  sayStatus() {
    const broken = this.tracks.reduce((sum, track) => sum + track.frames.broken.size, 0);
    const waiting = this.tracks.some((track) => !track.isReady(this.frame));
    let text = waiting ? `Loading frame ${this.frame} …` : "";
    if (broken) text = `${broken} frames cannot be loaded; reload the page to try again.`;
    if (this.status.textContent !== text) this.status.textContent = text;
  }
}

// Whether somebody asked for a place since the page was opened. A player of another trajectory is another component,
// so the page remembers, and not the player.
function asksToArrive(jump) {
  const before = globalThis.vlmcarJump;
  globalThis.vlmcarJump = jump;
  return before !== undefined && jump > before;
}

const PARTS = [
  ...["pictures", "timelines", "play", "back", "forth", "where", "change-back", "change-forth", "first-wrong", "prev"],
  ...["next", "speed", "mark-button", "overlays", "zoom-in", "zoom-out", "zoom-whole", "zoom-size", "slider", "said", "heard", "status"],
];
