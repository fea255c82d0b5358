// The statistics, as a table of a few rows and a graph.
import { Graph } from './graph.js';

const NONE = '–';
const fixed = (digits, unit) => (value) => (value === undefined || value === null ? NONE : `${value.toFixed(digits)} ${unit}`);
const ms = fixed(0, 'ms');
const percent = fixed(1, '%');
const count = (value) => (value === undefined ? NONE : String(value));

// Takes bit/s.
function bitrate(value) {
  if (value === undefined) return NONE;
  return value >= 1e6 ? `${(value / 1e6).toFixed(1)} Mbit/s` : `${Math.round(value / 1e3)} kbit/s`;
}

// What each row is called, its explanation, and how it reads.
export const WATCHING = [
  ['First frame', 'From asking for the stream to its first picture', (s) => ms(s.ttff)],
  ['Codec', 'How the video is encoded', (s) => s.codec ?? NONE],
  ['Size', 'Of the picture, in pixels', (s) => (s.width ? `${s.width} × ${s.height}` : NONE)],
  ['Sound', 'Codec and bitrate', (s) => (s.audioCodec ? `${s.audioCodec} · ${bitrate(s.audioBitrate)}` : NONE)],
  ['Round trip', 'To the sender and back', (s) => ms(s.rtt)],
  ['Loss', 'Video packets lost in the last second, and since the start', (s) => `${percent(s.loss)} · ${count(s.lost)}`],
  ['Freezes', 'How often the picture stood still, and for how long in all', (s) =>
    s.freezes === undefined ? NONE : `${s.freezes} · ${fixed(1, 's')((s.freezeTime ?? 0) / 1000)}`],
  ['Buffer', 'Time that a frame waits for its packets and its turn', (s) => ms(s.buffer)],
  ['Jitter', 'How unevenly packets arrive', (s) => fixed(1, 'ms')(s.jitter)],
  ['Path', 'Kinds of address in use, here and there, and the transport', (s) =>
    s.localCandidate ? `${s.localCandidate} → ${s.remoteCandidate} · ${s.protocol}` : NONE],
];

// The same for what is sent.
export const SENDING = [
  ['Connected', 'From asking until there was a path', (s) => ms(s.took)],
  ['Codec', 'How the video is encoded', (s) => s.codec ?? NONE],
  ['Size', 'Of the picture as it is sent, in pixels', (s) => (s.width ? `${s.width} × ${s.height}` : NONE)],
  ['Sound', 'Codec and bitrate', (s) => (s.audioCodec ? `${s.audioCodec} · ${bitrate(s.audioBitrate)}` : NONE)],
  ['Held back by', 'What keeps the picture from being better', (s) => s.limit ?? NONE],
  ['Round trip', 'To the receiver and back', (s) => ms(s.rtt)],
  ['Loss', 'Packets that the receiver misses, lately and since the start', (s) => `${percent(s.loss)} · ${count(s.lost)}`],
  ['Received', 'Of a call: picture and sound of the far side', (s) =>
    s.received?.bitrate === undefined ? NONE : `${s.received.width ?? 0} × ${s.received.height ?? 0} · ${bitrate(s.received.bitrate)}`],
  ['Path', 'Kinds of address in use, here and there, and the transport', (s) =>
    s.localCandidate ? `${s.localCandidate} → ${s.remoteCandidate} · ${s.protocol}` : NONE],
];

export class Panel {
  #list;
  #rows;
  #cells;
  #graph;
  #legend;

  /** @param {HTMLElement} root holds a `dl`, a `canvas` and the legend's numbers */
  constructor(root) {
    this.#graph = new Graph(root.querySelector('canvas'));
    this.#legend = root.querySelectorAll('[data-legend]');
    this.#list = root.querySelector('dl');
    this.#layOut(WATCHING);
  }

  #layOut(rows) {
    if (rows === this.#rows) return;
    this.#rows = rows;
    this.#list.replaceChildren();
    this.#cells = rows.map(([name, title]) => {
      const row = document.createElement('div');
      const term = document.createElement('dt');
      const value = document.createElement('dd');
      row.title = title;
      term.textContent = name;
      value.textContent = NONE;
      row.append(term, value);
      this.#list.append(row);
      return value;
    });
  }

  /** @param {object} reading of `StatsReader`, or for the rows `SENDING` of `SendStats` */
  show(reading, rows = WATCHING) {
    this.#layOut(rows);
    rows.forEach(([, , text], row) => this.#write(this.#cells[row], text(reading)));
    const { bitrate: rate, fps } = reading;
    const now = { bitrate: bitrate(rate), fps: fps === undefined ? NONE : `${Math.round(fps)} fps` };
    for (const entry of this.#legend) this.#write(entry, now[entry.dataset.legend]);
    if (reading.at) this.#graph.push(reading);
  }

  clear(rows = WATCHING) {
    this.show({}, rows);
    this.#graph.clear();
  }

  #write(element, text) {
    if (element.textContent !== text) element.textContent = text;
  }
}
