// Two curves over the last minute: bitrate (filled) and frames per second.

const SECONDS = 60;

export class Graph {
  #canvas;
  #points = [];

  constructor(canvas) {
    this.#canvas = canvas;
    // Its size and its colours change with the window and the colour scheme.
    new ResizeObserver(() => this.#draw()).observe(canvas);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.#draw());
  }

  /** @param {{at: number, bitrate?: number, fps?: number}} reading */
  push({ at, bitrate = 0, fps = 0 }) {
    this.#points.push({ at, bitrate, fps });
    this.#points = this.#points.filter((point) => at - point.at <= (SECONDS + 2) * 1000);
    this.#draw();
  }

  clear() {
    this.#points = [];
    this.#draw();
  }

  #draw() {
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    if (!width || !height) return;
    const scale = devicePixelRatio || 1;
    Object.assign(this.#canvas, { width: width * scale, height: height * scale });
    const context = this.#canvas.getContext('2d');
    context.scale(scale, scale);
    const style = getComputedStyle(this.#canvas);
    const colour = (name) => style.getPropertyValue(name).trim();
    drawGrid(context, width, height, colour('--line'));
    const now = this.#points.at(-1)?.at;
    const curve = (key, top) =>
      this.#points.map((point) => ({
        x: width - ((now - point.at) / 1000 / SECONDS) * width,
        y: height - 1 - (point[key] / top) * (height - 3),
      }));
    const peak = (key, least) => Math.max(least, ...this.#points.map((point) => point[key])) * 1.15;
    stroke(context, curve('bitrate', peak('bitrate', 1)), colour('--bitrate'), height);
    stroke(context, curve('fps', peak('fps', 10)), colour('--fps'));
  }
}

function drawGrid(context, width, height, colour) {
  context.strokeStyle = colour;
  context.lineWidth = 1;
  context.beginPath();
  for (let part = 1; part < 4; part += 1) {
    const y = Math.round((height * part) / 4) + 0.5;
    context.moveTo(0, y);
    context.lineTo(width, y);
  }
  context.stroke();
}

function stroke(context, points, colour, fillTo) {
  if (points.length < 2) return;
  context.beginPath();
  for (const { x, y } of points) context.lineTo(x, y);
  context.strokeStyle = colour;
  context.lineWidth = 1.75;
  context.lineJoin = 'round';
  context.stroke();
  if (!fillTo) return;
  context.lineTo(points.at(-1).x, fillTo);
  context.lineTo(points[0].x, fillTo);
  context.globalAlpha = 0.18;
  context.fillStyle = colour;
  context.fill();
  context.globalAlpha = 1;
}
