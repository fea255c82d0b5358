// The data channels of a stream that is watched, through all its connections.
//
// The far side opens them, one for each of its data pads; what is on it, they say
// by their labels. docs/data.md has the rules.

/** The channel on which `navigate` tells what is done at the picture. */
export const NAVIGATION = 'sigmund-navigation';

/**
 * Events: `channel` when `list` has changed; `message`, with `label` and `data`
 * (a string or an `ArrayBuffer`).
 */
export class Channels extends EventTarget {
  #watch;
  #pc = null;
  #opened = new Map();
  #follow = () => this.#attend(this.#watch.pc);

  /** @param {import('./watch.js').Watch} watch */
  constructor(watch) {
    super();
    this.#watch = watch;
    for (const event of ['state', 'track']) watch.addEventListener(event, this.#follow);
    this.#follow();
  }

  /** The labels of the channels that are open. */
  get list() {
    return [...this.#opened.keys()];
  }

  /** The `RTCDataChannel` of a label, if it is open. */
  get(label) {
    return this.#opened.get(label) ?? null;
  }

  /**
   * Sends a string, an `ArrayBuffer`, a typed array or a `Blob`; on the first
   * channel, if no label is given. False if there is none.
   */
  send(data, label = this.list.find((it) => it !== NAVIGATION)) {
    const channel = this.get(label);
    channel?.send(data);
    return Boolean(channel);
  }

  /** Listens no more. */
  close() {
    for (const event of ['state', 'track']) this.#watch.removeEventListener(event, this.#follow);
    this.#attend(null);
  }

  #attend(pc) {
    if (pc === this.#pc) return;
    this.#pc = pc;
    if (this.#opened.size) {
      this.#opened.clear();
      this.#changed();
    }
    pc?.addEventListener('datachannel', ({ channel }) => pc === this.#pc && this.#take(channel));
  }

  #take(channel) {
    const { label } = channel;
    channel.binaryType = 'arraybuffer';
    channel.addEventListener('message', ({ data }) =>
      this.dispatchEvent(Object.assign(new Event('message'), { label, data })));
    const gone = () => {
      if (this.#opened.get(label) !== channel) return;
      this.#opened.delete(label);
      this.#changed();
    };
    const open = () => {
      this.#opened.set(label, channel);
      this.#changed();
    };
    for (const event of ['close', 'closing']) channel.addEventListener(event, gone);
    if (channel.readyState === 'open') open();
    else channel.addEventListener('open', open);
  }

  #changed() {
    this.dispatchEvent(new Event('channel'));
  }
}
