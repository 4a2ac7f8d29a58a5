// The pictures of one trajectory, fetched as they are needed: those around the chosen frame first, a few at a time.

const IN_FLIGHT = 6;
const AHEAD = 40;
const BEHIND = 10;
const PIXELS_HELD = 40_000_000; // about 160 MB as the browser holds them
const HELD_MIN = 2 * (AHEAD + BEHIND);

class Frames {
  // `order` says for each frame which of the distinct pictures it is. They are under `url`, or it is a list of data URLs,
  // where nothing is fetched. `changed` is called on every arrival.
  constructor(url, order, changed) {
    this.url = url;
    this.order = order;
    this.changed = changed;
    this.images = new Map();
    this.broken = new Set();
    this.loading = new Map();
    this.queue = [];
  }

  // The picture of a frame; null while it is not here.
  at(frame) {
    return this.images.get(this.order[frame]) || null;
  }

  isBroken(frame) {
    return this.broken.has(this.order[frame]);
  }

  // Wish for a frame and its neighbours; earlier wishes that are not under way are given up.
  wish(frame) {
    const wanted = [frame, 0];
    for (let far = 1; far <= AHEAD; far++) {
      wanted.push(frame + far);
      if (far <= BEHIND) wanted.push(frame - far);
    }
    this.wanted = new Set(wanted.filter((one) => one >= 0 && one < this.order.length).map((one) => this.order[one]));
    for (const number of this.wanted) this.touch(number);
    this.queue = [...this.wanted].filter((number) => !this.images.has(number) && !this.broken.has(number));
    this.pump();
  }

  pump() {
    while (this.loading.size < IN_FLIGHT && this.queue.length) {
      const number = this.queue.shift();
      if (!this.loading.has(number)) this.fetch(number);
    }
  }

  fetch(number) {
    const image = new Image();
    const ended = () => {
      this.loading.delete(number);
      this.pump();
      this.changed();
    };
    image.onload = () => {
      this.images.set(number, image);
      this.forget(image.naturalWidth * image.naturalHeight);
      ended();
    };
    image.onerror = () => {
      this.broken.add(number);
      ended();
    };
    this.loading.set(number, image);
    image.src = Array.isArray(this.url) ? this.url[number] : `${this.url}/${number}.png`;
  }

  // A Map keeps the order of insertion: what was wished for last is forgotten last.
  touch(number) {
    const image = this.images.get(number);
    if (!image) return;
    this.images.delete(number);
    this.images.set(number, image);
  }

  forget(pixels) {
    const held = Math.max(HELD_MIN, Math.floor(PIXELS_HELD / pixels));
    for (const number of this.images.keys()) {
      if (this.images.size <= held) return;
      if (!this.wanted.has(number)) this.images.delete(number);
    }
  }

  stop() {
    this.queue = [];
    this.changed = () => {};
  }
}
