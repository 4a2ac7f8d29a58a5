// A lane per checker over time: what it found, beneath it what was expected, and where the two differ.

const LANE = 22;
const STRIP = 9;
const LABEL_WIDTH = 230;
const NARROW = 560;
const FOUND = { done: "#2a9d8f", progress: "#8ab4c4", failed: "#d1495b" };
const WRONG = "#d1495b";

function isDone(value) {
  return value !== null && value >= 1;
}

function stateOf(value) {
  if (value === null) return "failed";
  return value >= 1 ? "done" : "not done";
}

// What a lane says about a frame, in words.
function saidOf(lane, frame) {
  const value = lane.values[frame];
  if (value === null) return `failed: ${lane.faults[frame] || "no answer"}`;
  return value > 0 && value < 1 ? `${Math.round(value * 1000) / 10} %` : stateOf(value);
}

// Whether a lane contradicts what is expected; a call that failed does.
function differs(lane, frame) {
  const wanted = lane.expected[frame];
  return wanted !== null && wanted !== undefined && (lane.values[frame] === null || Boolean(wanted) !== isDone(lane.values[frame]));
}

// Neighbouring frames of which `of` says the same, as [first, last, what].
function runsOf(count, of) {
  const found = [];
  for (let frame = 0; frame < count; frame++) {
    const what = of(frame);
    const before = found[found.length - 1];
    if (before && before[2] === what) before[1] = frame;
    else found.push([frame, frame, what]);
  }
  return found;
}

// Frames at which some checker's state is another than in the frame before.
function changesOf(lanes) {
  const starts = lanes.flatMap((lane) => runsOf(lane.values.length, (frame) => stateOf(lane.values[frame])).slice(1));
  return sorted(starts.map(([first]) => first));
}

// Frames at which a contradiction begins, and those that verification calls wrong.
function disagreementsOf(lanes, wrong) {
  const starts = lanes.flatMap((lane) => runsOf(lane.values.length, (frame) => differs(lane, frame)).filter((run) => run[2]));
  return sorted([...starts.map(([first]) => first), ...wrong.map((item) => item.frame)]);
}

function sorted(frames) {
  return [...new Set(frames)].sort((one, other) => one - other);
}

class Lanes {
  constructor(canvas) {
    this.canvas = canvas;
    this.plate = document.createElement("canvas"); // all but what moves with the frame
  }

  // `frames`: how many the time axis has, of this trajectory and the one beside it.
  layout(lanes, frames, wrong) {
    this.lanes = lanes;
    this.frames = frames;
    this.wrong = wrong;
    this.width = this.canvas.parentElement.clientWidth || 600;
    this.narrow = this.width < NARROW;
    this.left = this.narrow ? 2 : LABEL_WIDTH;
    this.step = (this.width - this.left - 2) / frames;
    const style = getComputedStyle(this.canvas);
    this.ink = style.color;
    this.font = `13px ${style.fontFamily}`;
    let top = 0;
    this.rows = lanes.map((lane) => {
      const wanted = lane.expected.some((one) => one !== null);
      const floor = top + (this.narrow ? LANE * 2 - 8 : LANE - 4);
      const row = { lane, wanted, top, floor, tall: LANE - 8 };
      top = floor + (wanted ? STRIP : 0) + 4;
      return row;
    });
    this.bottom = top;
    this.height = top + (wrong.length ? 18 : 2);
    this.ratio = window.devicePixelRatio || 1;
    this.canvas.style.height = `${this.height}px`;
    this.paint();
  }

  size(canvas) {
    canvas.width = this.width * this.ratio;
    canvas.height = this.height * this.ratio;
    const pen = canvas.getContext("2d");
    pen.scale(this.ratio, this.ratio);
    return pen;
  }

  x(frame) {
    return this.left + frame * this.step;
  }

  middle(frame) {
    return this.x(frame + 0.5);
  }

  // The frame and the lane at an event; the frame is null left of the time axis.
  at(event) {
    const box = this.canvas.getBoundingClientRect();
    const x = event.clientX - box.left;
    const row = this.rows.find((one, index) => event.clientY - box.top < (this.rows[index + 1]?.top ?? this.bottom));
    const frame = Math.max(0, Math.min(Math.floor((x - this.left) / this.step), this.frames - 1));
    return { frame: x < this.left - 6 ? null : frame, lane: row ? row.lane : null };
  }

  paint() {
    const pen = this.size(this.plate);
    pen.font = this.font;
    for (const row of this.rows) this.row(pen, row);
    for (const item of this.wrong) this.sign(pen, "▲", this.middle(item.frame), this.bottom + 14, WRONG);
  }

  row(pen, { lane, wanted, top, floor, tall }) {
    const count = lane.values.length;
    pen.fillStyle = this.ink;
    pen.fillText(this.fitted(pen, lane.title, (this.narrow ? this.width : this.left) - 10), 0, top + 15);
    pen.strokeStyle = "#8888";
    pen.lineWidth = 1;
    pen.strokeRect(this.left - 0.5, floor - tall - 0.5, count * this.step + 1, tall + 1);
    for (const [first, last, value] of runsOf(count, (frame) => lane.values[frame])) {
      const wide = Math.max(1.5, (last - first + 1) * this.step);
      if (value === null) this.hatch(pen, this.x(first), floor, Math.max(2, wide), tall);
      else if (value > 0) {
        pen.fillStyle = value >= 1 ? FOUND.done : FOUND.progress;
        pen.fillRect(this.x(first), floor - tall * value, wide, tall * value);
      }
    }
    if (wanted) this.strip(pen, lane, floor + 2);
    for (const run of runsOf(count, (frame) => differs(lane, frame))) if (run[2]) this.cross(pen, run, floor, tall);
    if (lane.completed !== null) this.sign(pen, "◆", this.middle(lane.completed), floor - 1, this.ink);
  }

  // What was expected: solid where done, hollow where not, nothing where nobody said.
  strip(pen, lane, top) {
    for (const [first, last, wanted] of runsOf(lane.expected.length, (frame) => lane.expected[frame])) {
      if (wanted === null) continue;
      const wide = Math.max(2, (last - first + 1) * this.step);
      pen.fillStyle = pen.strokeStyle = this.ink;
      pen.lineWidth = 1;
      if (wanted) pen.fillRect(this.x(first), top, wide, 5);
      else pen.strokeRect(this.x(first) + 0.5, top + 0.5, Math.max(1, wide - 1), 4);
    }
  }

  cross(pen, [first, last], floor, tall) {
    const wide = Math.max(3, (last - first + 1) * this.step);
    pen.strokeStyle = WRONG;
    pen.lineWidth = 2;
    pen.strokeRect(this.x(first), floor - tall, wide, tall + STRIP - 1);
    const [x, y, arm] = [this.x(first) + wide / 2, floor - tall / 2, 4];
    for (const [style, width] of [["#fff", 5], [WRONG, 2.5]]) {
      pen.strokeStyle = style;
      pen.lineWidth = width;
      pen.beginPath();
      pen.moveTo(x - arm, y - arm);
      pen.lineTo(x + arm, y + arm);
      pen.moveTo(x + arm, y - arm);
      pen.lineTo(x - arm, y + arm);
      pen.stroke();
    }
  }

  hatch(pen, x, floor, wide, tall) {
    pen.save();
    pen.beginPath();
    pen.rect(x, floor - tall, wide, tall);
    pen.clip();
    pen.strokeStyle = FOUND.failed;
    pen.lineWidth = 1.5;
    pen.beginPath();
    // The lines start at multiples of 5 of the canvas, so that they run on through neighbouring runs.
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

  // The plate, the span that is being marked, and a line at the chosen frame.
  draw(frame, span) {
    const pen = this.size(this.canvas);
    pen.drawImage(this.plate, 0, 0, this.width, this.height);
    pen.strokeStyle = this.ink;
    if (span) {
      const [from, to] = [this.x(span[0]), this.x(span[1] + 1)];
      pen.fillStyle = "#8883";
      pen.fillRect(from, 0, to - from, this.bottom);
      pen.lineWidth = 1;
      pen.setLineDash([4, 3]);
      pen.strokeRect(from, 0.5, to - from, this.bottom - 1);
      pen.setLineDash([]);
    }
    pen.lineWidth = 2;
    pen.beginPath();
    pen.moveTo(this.middle(frame), 0);
    pen.lineTo(this.middle(frame), this.bottom);
    pen.stroke();
  }
}
