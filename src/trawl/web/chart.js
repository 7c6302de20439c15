// Draw points on a canvas, and find those under the pointer or inside a line. Pixels are written
// directly: 100,000 points take a few milliseconds, where paths take a hundred.

const MOST_SCALE = 400;

// A disc with a soft edge: the share of each pixel that it covers.
function disc(radius) {
  const side = Math.ceil(radius) * 2 + 1;
  const middle = (side - 1) / 2;
  const shares = new Float32Array(side * side);
  for (let y = 0; y < side; y += 1) {
    for (let x = 0; x < side; x += 1) {
      shares[y * side + x] = Math.max(0, Math.min(1, radius + 0.5 - Math.hypot(x - middle, y - middle)));
    }
  }
  return { side, middle, shares };
}

// Points `x` and `y` (0 to 1), each of a `kind` whose colour is in `colours` ([r, g, b]).
export class Chart {
  constructor(canvas, { x, y, kind }) {
    this.canvas = canvas;
    this.points = { x, y, kind };
    this.view = { scale: 1, x: 0.5, y: 0.5 }; // what is in the middle, and how much larger it is
    this.hidden = new Set(); // kinds
    this.lit = null; // a Set of points; the others fade
    this.line = []; // a lasso, in points of the chart
    this.resize();
  }

  resize() {
    const box = this.canvas.getBoundingClientRect();
    this.ratio = Math.min(2, window.devicePixelRatio || 1);
    this.width = Math.max(1, Math.round(box.width * this.ratio));
    this.height = Math.max(1, Math.round(box.height * this.ratio));
    this.canvas.width = this.width;
    this.canvas.height = this.height;
    this.context = this.canvas.getContext("2d");
    this.image = this.context.createImageData(this.width, this.height);
    this.pixels = new Uint32Array(this.image.data.buffer);
  }

  // Pixels for a unit of the chart.
  get unit() { return Math.min(this.width, this.height) * 0.94 * this.view.scale; }

  toScreen(x, y) {
    return [this.width / 2 + (x - this.view.x) * this.unit, this.height / 2 + (y - this.view.y) * this.unit];
  }

  // Return the point of the chart at a place of the canvas, in CSS pixels.
  toChart(left, top) {
    return [this.view.x + (left * this.ratio - this.width / 2) / this.unit, this.view.y + (top * this.ratio - this.height / 2) / this.unit];
  }

  // Return the place of a point on the canvas, in CSS pixels.
  place(index) {
    return this.toScreen(this.points.x[index], this.points.y[index]).map((one) => one / this.ratio);
  }

  zoom(factor, left = this.width / 2 / this.ratio, top = this.height / 2 / this.ratio) {
    const [x, y] = this.toChart(left, top);
    this.view.scale = Math.max(0.5, Math.min(MOST_SCALE, this.view.scale * factor));
    const [newX, newY] = this.toChart(left, top);
    this.view.x += x - newX;
    this.view.y += y - newY;
  }

  pan(left, top) {
    this.view.x -= (left * this.ratio) / this.unit;
    this.view.y -= (top * this.ratio) / this.unit;
  }

  radius() {
    const crowd = Math.sqrt(this.points.x.length);
    const base = Math.max(0.9, Math.min(6, 160 / crowd));
    return Math.min(9, base * Math.min(2.5, this.view.scale ** 0.35)) * this.ratio;
  }

  // Draw with the colours of kinds, of the ground and of lines: {kinds: [[r, g, b]], ground, line}.
  draw(colours) {
    const { x, y, kind } = this.points;
    const [red, green, blue] = colours.ground;
    this.pixels.fill((255 << 24) | (blue << 16) | (green << 8) | red);
    const radius = this.radius();
    const small = disc(radius);
    const large = disc(radius * 1.5 + this.ratio);
    const unit = this.unit;
    const offsetX = this.width / 2 - this.view.x * unit;
    const offsetY = this.height / 2 - this.view.y * unit;
    const strength = Math.min(0.9, 0.35 + 60 / Math.sqrt(x.length) / 3);
    for (let at = 0; at < x.length; at += 1) {
      if (this.hidden.has(kind[at]) || this.lit?.has(at)) continue;
      this.stamp(small, x[at] * unit + offsetX, y[at] * unit + offsetY, colours.kinds[kind[at]], this.lit ? 0.16 : strength);
    }
    for (const at of this.lit ?? []) {
      if (!this.hidden.has(kind[at])) this.stamp(large, x[at] * unit + offsetX, y[at] * unit + offsetY, colours.kinds[kind[at]], 1);
    }
    this.context.putImageData(this.image, 0, 0);
    if (this.line.length > 1) this.drawLine(colours.line);
  }

  stamp({ side, middle, shares }, left, top, [red, green, blue], strength) {
    const startX = Math.round(left - middle);
    const startY = Math.round(top - middle);
    if (startX < 0 || startY < 0 || startX + side >= this.width || startY + side >= this.height) return;
    const { data } = this.image;
    for (let row = 0; row < side; row += 1) {
      let at = ((startY + row) * this.width + startX) * 4;
      for (let column = 0; column < side; column += 1, at += 4) {
        const share = shares[row * side + column] * strength;
        if (share === 0) continue;
        data[at] += (red - data[at]) * share;
        data[at + 1] += (green - data[at + 1]) * share;
        data[at + 2] += (blue - data[at + 2]) * share;
      }
    }
  }

  drawLine(colour) {
    const { context } = this;
    context.beginPath();
    this.line.forEach(([x, y], at) => {
      const [left, top] = this.toScreen(x, y);
      if (at) context.lineTo(left, top);
      else context.moveTo(left, top);
    });
    context.closePath();
    context.lineWidth = 2 * this.ratio;
    context.strokeStyle = `rgb(${colour})`;
    context.fillStyle = `rgb(${colour} / 12%)`;
    context.fill();
    context.stroke();
  }

  // Return the shown point nearest to a place of the canvas, in CSS pixels, or -1. Lit ones first.
  nearest(left, top, within = 14) {
    const [x, y] = this.toChart(left, top);
    const most = (within * this.ratio) / this.unit;
    let best = -1;
    let least = most * most;
    const look = (at) => {
      if (this.hidden.has(this.points.kind[at])) return;
      const distance = (this.points.x[at] - x) ** 2 + (this.points.y[at] - y) ** 2;
      if (distance < least) {
        least = distance;
        best = at;
      }
    };
    if (this.lit) this.lit.forEach(look);
    if (best < 0) for (let at = 0; at < this.points.x.length; at += 1) look(at);
    return best;
  }

  // Show these points, with a margin.
  fit(indices) {
    const { x, y } = this.points;
    let [left, right, top, bottom] = [Infinity, -Infinity, Infinity, -Infinity];
    for (const at of indices) {
      left = Math.min(left, x[at]);
      right = Math.max(right, x[at]);
      top = Math.min(top, y[at]);
      bottom = Math.max(bottom, y[at]);
    }
    if (left > right) return;
    const room = Math.min(this.width, this.height);
    const size = Math.max(((right - left) * room) / this.width, ((bottom - top) * room) / this.height, 0.05);
    this.view = { scale: Math.min(MOST_SCALE, 0.94 / size), x: (left + right) / 2, y: (top + bottom) / 2 };
  }
}

// Return the points inside a line: even and odd crossings.
export function inside(line, { x, y, kind }, hidden) {
  const found = [];
  for (let at = 0; at < x.length; at += 1) {
    if (!hidden.has(kind[at]) && contains(line, x[at], y[at])) found.push(at);
  }
  return found;
}

function contains(line, x, y) {
  let within = false;
  for (let at = 0, last = line.length - 1; at < line.length; last = at, at += 1) {
    const [x1, y1] = line[at];
    const [x2, y2] = line[last];
    if (y1 > y !== y2 > y && x < ((x2 - x1) * (y - y1)) / (y2 - y1) + x1) within = !within;
  }
  return within;
}
