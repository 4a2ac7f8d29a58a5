// The picture that takes keys and clicks, and the episode behind it.

const REPEAT_MS = 50; // between two steps while a key is held, at the least
const SURE_MS = 4000; // so long a second click counts as being sure
const LATENCIES = 50;
const NUDGE = 0.02; // of the picture, by an arrow key
const POINTING =
  "Click in the picture. Or, while it has the focus, as its frame shows: arrows move the cross (with Shift a little), Enter chooses, Escape takes it back.";
const PARTS = [
  ...["start", "bench", "canvas", "state", "said", "latency", "controls", "reset-keys", "panel", "points", "turn", "turn-label", "share"],
  ...["share-label", "pause", "undo", "again", "next", "seed", "expert", "near-miss", "initial", "goal", "hint", "instruction", "drafts"],
];

class Pad {
  constructor(root, data) {
    this.root = root;
    this.id = data.session;
    this.kept = 0;
    for (const name of PARTS) this[name] = root.querySelector(`[data-part="${name}"]`);
    this.control = new AbortController();
    this.forget();
    this.left = new Drafts(this.drafts, { wish: (wish) => this.draft(wish), say: (words) => this.say(words) });
    this.update(data);
    this.listen();
    this.show();
  }

  // As it is before the environment is there, and after it has gone.
  forget() {
    this.link = this.keys = this.list = this.now = this.image = this.sure = null;
    this.paused = false;
    this.held = new Set();
    this.clicked = []; // points of the step that is being clicked together
    this.cross = [0.5, 0.5];
    this.drawn = Promise.resolve(); // the pictures so far
    this.latencies = [];
    this.answered = 0;
    this.saved = true; // nothing would be lost
    this.goingOn = false; // it was asked to drive on from a draft
    clearTimeout(this.timer);
  }

  update(data) {
    this.data = data;
  }

  on(target, name, action) {
    target.addEventListener(name, action, { signal: this.control.signal });
  }

  listen() {
    const clicks = {
      start: () => this.open(),
      pause: () => this.pauseOrNot(),
      undo: () => this.wish({ do: "undo" }),
      again: () => this.unlessLost("again", { do: "begin", seed: this.now.seed }),
      next: () => this.unlessLost("next", { do: "next" }),
      expert: () => this.keep({ do: "save", source: "expert" }),
      "near-miss": () => this.keep({ do: "save", source: "near-miss" }),
      initial: () => this.keep({ do: "initial" }),
      goal: () => this.keep({ do: "goal" }),
      "reset-keys": () => {
        this.keys.reset();
        this.show();
      },
    };
    for (const [name, action] of Object.entries(clicks)) this.on(this[name], "click", action);
    this.on(this.seed, "change", () => this.unlessLost("seed", { do: "begin", seed: Number(this.seed.value) }));
    this.on(this.canvas, "keydown", (event) => this.key(event, true));
    this.on(this.canvas, "keyup", (event) => this.key(event, false));
    this.on(this.canvas, "blur", () => this.held.clear());
    this.on(this.canvas, "click", (event) => this.click(event));
    this.on(this.canvas, "focus", () => this.draw());
  }

  // The environment

  open() {
    if (this.link) return;
    this.say("The environment is being made …");
    this.start.disabled = true;
    this.link = new Link(
      this.data.session,
      (answer, png) => this.heard(answer, png),
      (words) => this.closed(words),
    );
  }

  closed(words) {
    const lost = !this.saved;
    this.forget();
    this.say(lost ? `${words} What was not saved is kept: it is offered when you start.` : words, true);
    this.show();
  }

  stop() {
    this.control.abort();
    if (this.link) {
      this.link.gone = () => {};
      this.link.end("");
    }
    this.forget();
  }

  wish(wish) {
    return this.link ? this.link.send(wish) : null;
  }

  heard(answer, png) {
    if (answer.controls) this.begin(answer.controls);
    else this.answered += 1;
    this.root.dataset.answered = this.answered;
    const before = this.now;
    this.now = answer;
    if (!before || answer.seed !== before.seed || answer.steps !== before.steps) this.saved = answer.steps === 0;
    if (answer.drafts) this.left.show(answer.drafts);
    if (answer.drafts && this.goingOn) [this.saved, this.goingOn] = [answer.steps === 0, false];
    if (answer.kept) {
      if (answer.said.startsWith("saved") && !answer.drafts) this.saved = true;
      this.commit("kept", ++this.kept);
    }
    if (answer.error) this.say(answer.error, true);
    else if (answer.said) this.say(`${answer.said[0].toUpperCase()}${answer.said.slice(1)}.`);
    else if (answer.over) this.say(this.ending(answer));
    else if (before) this.say("");
    if (answer.over) this.held.clear();
    if (png) this.take(answer, png);
    this.show();
  }

  begin(controls) {
    this.doable = controls;
    this.keys = new Keys(this.data.family, controls.keys);
    this.list = new Panel(this.controls, this.keys, {
      hold: (name, on) => this.hold(name, on),
      tap: (name) => this.press(name),
      say: (words) => this.say(words),
    });
    this.points.replaceChildren(
      ...controls.points.map((words) => Object.assign(document.createElement("li"), { textContent: words })),
    );
    this.points.hidden = !controls.points.length;
    if (controls.points.length) this.hint.textContent = POINTING;
    this["turn-label"].hidden = !controls.turns;
    this["share-label"].hidden = !controls.together;
    this["reset-keys"].hidden = !controls.keys.length;
    this.say("");
    this.bench.hidden = false;
    this.canvas.focus();
  }

  ending({ over, success }) {
    const why = over === "ended" ? "The episode has ended" : "The time is up";
    const solved = { true: "the environment calls it solved", false: "the environment does not call it solved" }[success];
    return `${why}${solved ? `: ${solved}` : ""}.`;
  }

  // The frame

  // Pictures are unpacked side by side and drawn in their order, each of them.
  take(answer, png) {
    const image = createImageBitmap(png, { colorSpaceConversion: "none" });
    const { link } = this;
    this.drawn = this.drawn.then(async () => {
      this.image = await image.catch(() => this.image); // one that cannot be read is passed over
      if (link !== this.link) return;
      this.draw();
      this.root.dataset.steps = answer.steps;
      if (answer.sent !== undefined) this.time(performance.now() - answer.sent);
    });
  }

  time(ms) {
    this.latencies = [...this.latencies.slice(1 - LATENCIES), ms];
    const middle = [...this.latencies].sort((one, other) => one - other)[Math.floor(this.latencies.length / 2)];
    setText(this.latency, `key to frame ${Math.round(middle)} ms`);
  }

  draw() {
    const { canvas, image } = this;
    if (!image) return;
    const wide = image.width > 1.5 * image.height;
    this.bench.classList.toggle("wide", wide);
    const zoom = this.doable.points.length ? Math.max(1, Math.floor((wide ? 860 : 512) / image.width)) : 1;
    if (canvas.width !== image.width * zoom || canvas.height !== image.height * zoom) {
      canvas.width = image.width * zoom;
      canvas.height = image.height * zoom;
    }
    const context = canvas.getContext("2d");
    context.imageSmoothingEnabled = false;
    context.drawImage(image, 0, 0, canvas.width, canvas.height);
    if (!this.doable.points.length) return;
    for (const point of this.clicked) this.mark(context, point, true);
    if (canvas.getRootNode().activeElement === canvas) this.mark(context, this.cross, false);
  }

  mark(context, [across, down], done) {
    const { canvas } = this;
    const [x, y, size] = [across * canvas.width, down * canvas.height, 9];
    for (const [colour, width] of [["#000", 4], ["#fff", 2]]) {
      context.beginPath();
      if (done) context.arc(x, y, size, 0, 2 * Math.PI);
      context.moveTo(x - size, y);
      context.lineTo(x + size, y);
      context.moveTo(x, y - size);
      context.lineTo(x, y + size);
      context.strokeStyle = colour;
      context.lineWidth = width;
      context.stroke();
    }
  }

  // Keys, buttons, clicks

  get idle() {
    return !this.now || this.paused || Boolean(this.now.over);
  }

  key(event, down) {
    if (event.ctrlKey || event.metaKey || event.altKey || !this.keys) return;
    const name = this.keys.name(event.key);
    const taken = name ? true : this.doable.points.length > 0 && this.pointKey(event, down);
    if (!taken) return;
    event.preventDefault();
    event.stopPropagation();
    if (!name) return;
    if (this.doable.together) {
      if (!(down && event.repeat)) this.hold(name, down);
    } else if (down && !(event.repeat && this.link.waiting.size)) {
      this.press(name); // a held key goes on as the environment keeps up; a fresh press is always sent
    }
  }

  press(...names) {
    if (this.idle || !names.length) return;
    const share = this.doable.together ? Number(this.share.value) : 1;
    this.asked = this.wish({ do: "press", pressed: { held: names, share } });
    this.askedAt = performance.now();
  }

  // Where several are held at once, a step follows the other until all are let go.
  hold(name, on) {
    if (!on) return void this.held.delete(name);
    if (!this.doable.together) return this.press(name);
    this.held.add(name);
    this.press(...this.held);
    this.goOn();
  }

  goOn() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      if (!this.held.size || this.idle) return;
      const late = this.link.waiting.has(this.asked) || performance.now() - this.askedAt < REPEAT_MS - 1;
      if (!late) this.press(...this.held);
      this.goOn();
    }, Math.max(4, REPEAT_MS - (performance.now() - this.askedAt)));
  }

  click(event) {
    this.canvas.focus();
    if (!this.doable || !this.doable.points.length) return;
    const box = this.canvas.getBoundingClientRect();
    const share = (value) => Math.max(0, Math.min(value, 1));
    this.cross = [share((event.clientX - box.left) / box.width), share((event.clientY - box.top) / box.height)];
    this.point();
  }

  // The points can be chosen without a pointer, too.
  pointKey(event, down) {
    const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const way = ways[event.key];
    if (!way && !["Enter", " ", "Escape"].includes(event.key)) return false;
    if (!down) return true;
    if (way) {
      const step = event.shiftKey ? NUDGE / 5 : NUDGE;
      this.cross = this.cross.map((value, axis) => Math.max(0, Math.min(value + way[axis] * step, 1)));
    } else if (event.key === "Escape") this.clicked = [];
    else if (!event.repeat) this.point();
    this.draw();
    this.show();
    return true;
  }

  point() {
    if (this.idle) return;
    this.clicked.push(this.cross);
    if (this.clicked.length === this.doable.points.length) {
      const turn = this.doable.turns ? Math.max(-1, Math.min(Number(this.turn.value) / 180 || 0, 1)) : 0;
      this.wish({ do: "press", pressed: { points: this.clicked, turn } });
      this.clicked = [];
      this.say("It is being done …");
    }
    this.draw();
    this.show();
  }

  // The episode

  pauseOrNot() {
    this.paused = !this.paused;
    this.held.clear();
    this.show();
    if (!this.paused) this.canvas.focus();
  }

  keep(wish) {
    this.wish({ ...wish, driver: this.data.driver });
  }

  // Something with an episode that was left behind; the one at hand is left behind in its turn by driving on from it.
  draft(wish) {
    this.wish({ ...wish, driver: this.data.driver });
    if (wish.do !== "drive-on") return;
    this.clicked = [];
    this.goingOn = true;
    this.canvas.focus();
  }

  // What is not saved is lost only to a second click.
  unlessLost(name, wish) {
    if (!this.saved && this.sure !== name) {
      this.sure = name;
      setTimeout(() => this.sure === name && ((this.sure = null), this.show()), SURE_MS);
      const what = this.now.steps === 1 ? "One step is" : `${this.now.steps} steps are`;
      this.say(`${what} not saved. Once more, if that may be lost.`);
      if (name === "seed") this.seed.value = this.now.seed;
      return this.show();
    }
    this.sure = null;
    this.held.clear();
    this.clicked = [];
    this.paused = false;
    this.wish(wish);
    this.canvas.focus();
  }

  say(text, wrong = false) {
    this.said.classList.toggle("wrong", wrong);
    setText(this.said, text);
  }

  show() {
    const { now } = this;
    this.start.hidden = Boolean(now);
    this.start.disabled = Boolean(this.link);
    this.bench.hidden = !now;
    if (!now) this.drafts.hidden = true;
    if (!now) return;
    const points = [...this.points.children];
    points.forEach((item, place) => item.classList.toggle("next", place === this.clicked.length));
    const what = this.paused ? "Paused" : now.over ? "Over" : "Recording";
    const paid = now.return === null ? "not a number" : Number(now.return.toFixed(3));
    setText(this.state, `${what}: ${now.steps} ${now.steps === 1 ? "step" : "steps"}, return ${paid}`);
    setAttribute(this.state, "data-what", what);
    setText(this.instruction, now.instruction);
    setText(this.pause, this.paused ? "Go on" : "Pause");
    setAttribute(this.pause, "aria-pressed", String(this.paused));
    this.undo.disabled = !now.steps;
    setText(this.again, this.sure === "again" ? "Lose it and start over" : "Start over");
    setText(this.next, this.sure === "next" ? "Lose it and go on" : "New seed");
    this.expert.disabled = !now.steps || this.saved;
    this["near-miss"].disabled = !now.steps || this.saved;
    if (this.seed.getRootNode().activeElement !== this.seed) this.seed.value = now.seed;
    this.list.show(now.staying, this.idle);
  }
}
