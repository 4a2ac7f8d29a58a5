// One trajectory in the player: its pictures, its lanes, what is said of the chosen frame, what the code sees.

class Track {
  // `pictures` and `timeline` are the elements that were made for it.
  constructor(player, pictures, timeline) {
    this.player = player;
    const get = (name) => pictures.querySelector(`[data-part="${name}"]`) || timeline.querySelector(`[data-part="${name}"]`);
    this.parts = { name: get("name"), named: get("named"), legend: get("legend"), values: get("values"), tip: get("tip") };
    this.pictures = ["now", "first"].map((part) => ({ at: part, text: get(`${part}-pixel`), shown: new Picture(get(part), player.viewport) }));
    this.lanes = new Lanes(get("lanes"));
    this.hidden = new Set();
  }

  get now() {
    return this.pictures[0].shown.canvas;
  }

  update(data, frames) {
    this.data = data;
    this.span = frames;
    this.last = data.order.length - 1;
    this.frames ??= new Frames(data.frames, data.order, () => this.player.draw());
    this.changes = changesOf(data.lanes);
    this.disagreements = disagreementsOf(data.lanes, data.wrong);
    this.parts.name.textContent = this.parts.named.textContent = data.name;
    this.lanes.canvas.setAttribute("aria-label", `${data.name}: a lane per checker over time. Arrow keys step.`);
    this.resize();
  }

  resize() {
    this.lanes.layout(this.data.lanes, this.span, this.data.wrong);
  }

  stop() {
    this.frames.stop();
  }

  // An episode that is over stays at its last frame.
  own(frame) {
    return Math.min(frame, this.last);
  }

  // Whether a frame can be shown, or never will be.
  isReady(frame) {
    return Boolean(this.frames.at(this.own(frame))) || this.frames.isBroken(this.own(frame));
  }

  wish(frame) {
    this.frames.wish(this.own(frame));
  }

  draw(frame, pixel, span) {
    const own = this.own(frame);
    for (const picture of this.pictures) {
      const shown = picture.at === "now" ? own : 0;
      picture.shown.draw(this.frames.at(shown), this.seen(shown), (name) => this.colour(name), pixel);
      this.drawPixel(picture, pixel, shown);
    }
    this.now.setAttribute("aria-label", `${this.data.name}, frame ${own} of ${this.last}. Arrow keys step, space plays.`);
    this.lanes.draw(own, span);
    this.drawValues(own);
    this.drawLegend(own);
  }

  seen(frame) {
    if (!this.player.overlays.checked) return [];
    return (this.data.overlays[this.data.order[frame]] || []).filter((item) => !this.hidden.has(item.name));
  }

  colour(name) {
    return COLOURS[Math.max(0, this.data.objects.indexOf(name)) % COLOURS.length];
  }

  drawPixel({ text, shown }, pixel, frame) {
    const rgb = pixel && shown.rgb(pixel);
    text.textContent = rgb ? `(${pixel.join(", ")}) ${colourWords(rgb)}${this.objectsAt(pixel, frame)}` : "Point at a pixel for its colour.";
    text.style.borderColor = rgb ? `rgb(${rgb.join(",")})` : "transparent";
  }

  // What the code takes a pixel for, in words.
  objectsAt([x, y], frame) {
    // A hole in a mask is a polygon of its own, so an odd number of them holds what is seen.
    const within = (item) => item.polygons.filter((polygon) => holds(polygon, [x + 0.5, y + 0.5])).length % 2;
    const found = this.seen(frame).filter(within);
    return found.length ? ` · in ${found.map((item) => item.name).join(", ")}` : "";
  }

  drawValues(frame) {
    const lines = this.data.lanes.map((lane) => this.line(lane, frame));
    const wrong = this.data.wrong.filter((item) => item.frame === frame).map((item) => `Wrong here: ${item.reason}`);
    this.parts.values.replaceChildren(
      ...[...lines, ...wrong].map((line) => {
        const item = document.createElement("li");
        item.textContent = line;
        return item;
      }),
    );
  }

  line(lane, frame) {
    const turn = lane.completed !== null && frame >= lane.completed ? ", counted" : "";
    const wanted = lane.expected[frame];
    const told = wanted === null || wanted === undefined ? "" : `; expected: ${wanted ? "done" : "not done"}${differs(lane, frame) ? " ✕" : ""}`;
    return `${lane.title}: ${saidOf(lane, frame)}${turn}${told}`;
  }

  // What a lane says where the pointer is.
  hint(event) {
    const { frame, lane } = this.lanes.at(event);
    const { tip } = this.parts;
    tip.hidden = !lane || (frame !== null && frame > this.last);
    if (tip.hidden) return;
    tip.textContent = frame === null ? lane.title : `frame ${frame} · ${this.line(lane, frame)}`;
    const box = this.lanes.canvas.getBoundingClientRect();
    const x = event.clientX - box.left;
    tip.style.top = `${event.clientY - box.top + 18}px`;
    tip.style.left = `${Math.max(0, Math.min(x + 8, box.width - tip.offsetWidth))}px`;
  }

  // A button per object: what it is, whether it is drawn.
  drawLegend(frame) {
    const { objects, overlays, order } = this.data;
    const found = overlays[order[frame]] || [];
    const names = objects.join("\n");
    if (this.listed !== names) {
      this.listed = names;
      this.parts.legend.replaceChildren(...objects.map((name) => this.objectButton(name)));
    }
    [...this.parts.legend.children].forEach((button, index) => {
      const item = found.find((one) => one.name === objects[index]);
      button.setAttribute("aria-pressed", String(this.player.overlays.checked && !this.hidden.has(objects[index])));
      button.textContent = `${objects[index]}: ${item ? item.text : "nothing"}`;
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
      this.player.draw();
    });
    return button;
  }
}
