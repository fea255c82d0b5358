// The data channels of what is played: what comes in on them, and a line to write.
import { Channels, NAVIGATION } from './channels.js';

// Lines that are kept.
const LINES = 200;
// Of a message, so many characters are shown.
const SHOWN = 500;

function bytes(data) {
  const shown = new Uint8Array(data).slice(0, 16);
  const hex = [...shown].map((it) => it.toString(16).padStart(2, '0')).join(' ');
  return `${data.byteLength} bytes${shown.length ? `: ${hex}${data.byteLength > 16 ? ' …' : ''}` : ''}`;
}

export class Console {
  #root;
  #log;
  #choice;
  #line;
  #watch = null;
  /** @type {Channels | null} */
  channels = null;

  /** @param {HTMLElement} root holds an `ol`, and a `form` with a `select` and an `input` */
  constructor(root) {
    this.#root = root;
    this.#log = root.querySelector('ol');
    this.#choice = root.querySelector('select');
    this.#line = root.querySelector('input');
    root.querySelector('form').addEventListener('submit', (event) => {
      event.preventDefault();
      this.#send(this.#line.value);
    });
  }

  /** @param {import('./watch.js').Watch | null} watch whose channels are shown */
  follow(watch) {
    if (watch === this.#watch) return;
    this.#watch = watch;
    this.channels?.close();
    this.channels = watch && new Channels(watch);
    this.#log.replaceChildren();
    const { channels } = this;
    channels?.addEventListener('channel', () => channels === this.channels && this.#render());
    channels?.addEventListener('message', ({ label, data }) =>
      channels === this.channels && this.#write(label, typeof data === 'string' ? data : bytes(data), 'in'));
    this.#render();
  }

  #send(text) {
    if (!text || !this.channels?.send(text, this.#choice.value)) return;
    this.#write(this.#choice.value, text, 'out');
    this.#line.value = '';
  }

  #render() {
    const labels = (this.channels?.list ?? []).filter((label) => label !== NAVIGATION);
    this.#root.hidden = !labels.length && !this.#log.children.length;
    const chosen = this.#choice.value;
    this.#choice.replaceChildren(...labels.map((label) => new Option(label, label, false, label === chosen)));
    this.#choice.hidden = labels.length < 2;
    for (const element of [this.#line, this.#root.querySelector('button')]) element.disabled = !labels.length;
  }

  #write(label, text, way) {
    const item = document.createElement('li');
    const from = document.createElement('b');
    from.textContent = label;
    item.className = way;
    item.append(from, ` ${text.slice(0, SHOWN)}${text.length > SHOWN ? ' …' : ''}`);
    const atEnd = this.#log.scrollTop + this.#log.clientHeight >= this.#log.scrollHeight - 4;
    this.#log.append(item);
    while (this.#log.children.length > LINES) this.#log.firstElementChild.remove();
    if (atEnd) this.#log.scrollTop = this.#log.scrollHeight;
  }
}
