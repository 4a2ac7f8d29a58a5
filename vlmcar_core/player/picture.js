// One picture on a canvas: enlarged as the view says, with outlines of what the code sees, and single pixels to point at.

const COLOURS = ["#e4572e", "#17bebb", "#ffc914", "#9d6bdb", "#76b041", "#f25f9c"];
const SIDE = 480;
const PIXELS_ACROSS_MIN = 8;
const GRID_FROM = 8; // pixels of the screen that one of the picture must have for lines between them

// Which part of a picture is shown; the same for all pictures of a player, so that they can be compared.
class Viewport {
  constructor() {
    this.zoom = 1;
    this.x = 0; // left and top as shares of the whole picture
    this.y = 0;
  }

  // Enlarge by a factor and keep the place (shares of the canvas) where it is.
  by(factor, across, down, largest) {
    const zoom = Math.max(1, Math.min(this.zoom * factor, largest));
    this.move(across / this.zoom - across / zoom, down / this.zoom - down / zoom, zoom);
  }

  move(x, y, zoom = this.zoom) {
    this.zoom = zoom;
    this.x = Math.max(0, Math.min(this.x + x, 1 - 1 / zoom));
    this.y = Math.max(0, Math.min(this.y + y, 1 - 1 / zoom));
  }

  // Move as little as brings a place (shares of the picture) into view.
  show(x, y) {
    const wide = 1 / this.zoom;
    const miss = (from, place) => Math.min(0, place - from) + Math.max(0, place - from - wide);
    this.move(miss(this.x, x), miss(this.y, y));
  }
}

// Whether a closed polygon holds a point: a ray to the right crosses its edges an odd number of times.
function holds(polygon, [x, y]) {
  return polygon.reduce((inside, [x2, y2], index) => {
    const [x1, y1] = polygon.at(index - 1);
    return y1 > y !== y2 > y && x < x1 + ((y - y1) / (y2 - y1)) * (x2 - x1) ? !inside : inside;
  }, false);
}

class Picture {
  constructor(canvas, viewport) {
    this.canvas = canvas;
    this.viewport = viewport;
    this.image = null;
    this.probe = document.createElement("canvas");
    this.probe.width = this.probe.height = 1;
  }

  // Show an image, or that it is not here yet: then what was there before is dimmed.
  draw(image, outlines, colour, pixel) {
    this.canvas.classList.toggle("waiting", !image);
    if (!image) return;
    this.image = image;
    const { canvas, viewport } = this;
    const whole = Math.max(1, Math.ceil(SIDE / image.naturalWidth));
    canvas.width = image.naturalWidth * whole;
    canvas.height = image.naturalHeight * whole;
    const pen = canvas.getContext("2d");
    const scale = whole * viewport.zoom;
    const place = ([x, y]) => [x * scale - viewport.x * canvas.width * viewport.zoom, y * scale - viewport.y * canvas.height * viewport.zoom];
    pen.imageSmoothingEnabled = false;
    const [left, top] = place([0, 0]);
    pen.drawImage(image, left, top, canvas.width * viewport.zoom, canvas.height * viewport.zoom);
    if (viewport.zoom > 1 && scale >= GRID_FROM * this.unit) this.grid(pen, scale, left, top);
    for (const item of outlines) this.outline(pen, item, place, colour(item.name));
    if (pixel) this.frame(pen, place(pixel), scale);
  }

  grid(pen, scale, left, top) {
    pen.strokeStyle = "#8886";
    pen.lineWidth = Math.ceil(this.unit); // a thinner line would be lost here and there
    pen.beginPath();
    for (let x = left % scale; x < pen.canvas.width; x += scale) pen.rect(Math.round(x), -1, 0, pen.canvas.height + 2);
    for (let y = top % scale; y < pen.canvas.height; y += scale) pen.rect(-1, Math.round(y), pen.canvas.width + 2, 0);
    pen.stroke();
  }

  outline(pen, item, place, colour) {
    const polygons = item.polygons.map((polygon) => polygon.map(place));
    for (const [style, width] of [["#000", 4.5], [colour, 2.5]]) {
      pen.strokeStyle = style;
      pen.lineWidth = width * this.unit;
      for (const polygon of polygons) {
        pen.beginPath();
        polygon.forEach(([x, y], index) => (index ? pen.lineTo(x, y) : pen.moveTo(x, y)));
        pen.closePath();
        pen.stroke();
      }
    }
    if (polygons.length) this.label(pen, item.name, polygons[0]);
  }

  label(pen, name, polygon) {
    const [x, y] = polygon.reduce((best, point) => (point[1] < best[1] ? point : best));
    const { unit } = this;
    pen.font = `600 ${13 * unit}px sans-serif`;
    const width = pen.measureText(name).width;
    const left = Math.min(Math.max(0, x), pen.canvas.width - width - 8 * unit);
    const top = Math.min(Math.max(16 * unit, y - 4 * unit), pen.canvas.height - 4 * unit);
    pen.fillStyle = "#000c";
    pen.fillRect(left, top - 13 * unit, width + 8 * unit, 17 * unit);
    pen.fillStyle = "#fff";
    pen.fillText(name, left + 4 * unit, top);
  }

  // Canvas pixels for one of the screen: what is drawn stays readable however small the picture is shown.
  get unit() {
    return Math.max(1, this.canvas.width / (this.canvas.clientWidth || this.canvas.width));
  }

  frame(pen, [left, top], scale) {
    for (const [style, width] of [["#000", 4], ["#fff", 2]]) {
      pen.strokeStyle = style;
      pen.lineWidth = width * this.unit;
      pen.strokeRect(left - 1, top - 1, scale + 2, scale + 2);
    }
  }

  // Where on the canvas an event happened, as shares of its width and height.
  shares(event) {
    const box = this.canvas.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  }

  // The pixel of the picture under an event; null where there is none.
  pixelAt(event) {
    if (!this.image) return null;
    const [across, down] = this.shares(event);
    const x = Math.floor((this.viewport.x + across / this.viewport.zoom) * this.image.naturalWidth);
    const y = Math.floor((this.viewport.y + down / this.viewport.zoom) * this.image.naturalHeight);
    return this.has([x, y]) ? [x, y] : null;
  }

  has([x, y]) {
    return this.image && x >= 0 && y >= 0 && x < this.image.naturalWidth && y < this.image.naturalHeight;
  }

  // RGB of a pixel of the picture itself, without what is drawn on it; null while it is not here.
  rgb([x, y]) {
    if (!this.has([x, y]) || this.canvas.classList.contains("waiting")) return null;
    const pen = this.probe.getContext("2d", { willReadFrequently: true });
    pen.drawImage(this.image, -x, -y);
    return [...pen.getImageData(0, 0, 1, 1).data.slice(0, 3)];
  }

  get largest() {
    return this.image ? Math.max(1, this.image.naturalWidth / PIXELS_ACROSS_MIN) : 1;
  }
}
