// <rtc-publish src="…">: a camera, a screen or a microphone, sent from any page.
import { Devices } from './devices.js';
import { Publish } from './publish.js';

const STYLE = `
  :host { display: inline-block; position: relative; inline-size: 640px; max-inline-size: 100%; aspect-ratio: 16 / 9; background: #000; color: #fff; overflow: hidden; font: 15px/1.4 system-ui, sans-serif; }
  :host([hidden]) { display: none; }
  video { display: block; inline-size: 100%; block-size: 100%; object-fit: contain; }
  p { position: absolute; inset: 0 0 auto; margin: 0; padding: .6em 1em; background: #000a; text-align: center; }
  p:empty { display: none; }
  button { position: absolute; inset: auto 0 1em; margin: auto; inline-size: max-content; padding: .7em 1.4em; border: 0; border-radius: 99px; background: #fffffff0; color: #10161d; font: inherit; font-weight: 600; cursor: pointer; }
  :host([state="live"]) button, :host([state="connecting"]) button { background: #dc2626; color: #fff; }
  button:focus-visible { outline: 3px solid #2dd4bf; outline-offset: 3px; }
`;

const WORDS = { connecting: 'Connecting …', opening: 'Your browser asks whether this page may.', closed: '' };
const SENDS = ['connecting', 'live', 'waiting'];

/**
 * `<rtc-publish src token source give-up max-bitrate>`: what is sent, and a button
 * that begins and ends it. `source` is `camera` (if left out), `screen` or
 * `microphone`. Parts to style: `video`, `status`, `button`. Its event `state`
 * follows `Publish`; its attribute `state` can be styled.
 */
export class RtcPublish extends HTMLElement {
  #video = document.createElement('video');
  #status = document.createElement('p');
  #button = document.createElement('button');
  #devices = new Devices();
  #publish = null;
  #opening = false;
  #problem = null;
  #token;

  constructor() {
    super();
    const root = this.attachShadow({ mode: 'open' });
    const style = new CSSStyleSheet();
    style.replaceSync(STYLE);
    root.adoptedStyleSheets = [style];
    Object.assign(this.#video, { playsInline: true, autoplay: true, muted: true, part: 'video' });
    Object.assign(this.#button, { type: 'button', part: 'button' });
    this.#status.part = 'status';
    this.#status.role = 'status';
    this.#status.ariaLive = 'polite';
    this.#button.addEventListener('click', () => (SENDS.includes(this.state) ? this.stop() : this.start()));
    this.#devices.addEventListener('lost', () => this.#devices.stream.getTracks().length || this.stop());
    root.append(this.#video, this.#status, this.#button);
    this.#render();
  }

  /** The `Publish` behind it, null while there is none. */
  get publish() { return this.#publish; }
  /** What is sent: devices can be muted and exchanged there. */
  get devices() { return this.#devices; }
  /** The <video> that shows what is sent. */
  get video() { return this.#video; }
  /** `idle`, `opening` (a device), or what `Publish` says. */
  get state() { return this.#publish?.state ?? (this.#opening ? 'opening' : 'idle'); }
  /** @type {Error | null} a `StreamError`, or why no device could be opened */
  get error() { return this.#problem ?? this.#publish?.error ?? null; }
  get src() { return this.getAttribute('src') ?? ''; }
  set src(src) { this.setAttribute('src', src); }
  /** Need not be an attribute: what is set here stays out of the document. */
  get token() { return this.#token ?? this.getAttribute('token') ?? undefined; }
  set token(token) { this.#token = token; }

  /** Opens the source, and sends it. */
  async start() {
    if (!this.src || this.#opening) return;
    this.stop();
    this.#opening = true;
    this.#problem = null;
    this.#render();
    const failed = await this.#devices.open(this.getAttribute('source') ?? 'camera').catch((problem) => problem);
    this.#opening = false;
    // It may have been taken out of the page while the browser asked.
    if (failed || !this.isConnected) {
      this.#devices.close();
      this.#problem = failed?.cause === 'left' ? null : (failed ?? null);
      return this.#render();
    }
    const options = { token: this.token, giveUp: this.#number('give-up') * 1000 || undefined, maxBitrate: this.#number('max-bitrate') || undefined };
    const mine = new Publish(new URL(this.src, document.baseURI).href, this.#devices.stream, options);
    this.#publish = mine;
    mine.addEventListener('state', () => mine === this.#publish && this.#render());
    this.#render();
  }

  /** Sends no more, and lets the devices go. */
  stop() {
    this.#publish?.close();
    this.#publish = null;
    this.#devices.close();
    this.#render();
  }

  /** See `Publish.stats`. */
  stats() {
    return this.#publish?.stats() ?? Promise.resolve({ state: this.state });
  }

  connectedCallback() {
    addEventListener('pagehide', this);
  }

  disconnectedCallback() {
    removeEventListener('pagehide', this);
    // To move an element is to take it out and put it in again.
    queueMicrotask(() => this.isConnected || this.stop());
  }

  handleEvent() {
    this.stop();
  }

  #number(attribute) {
    return Number(this.getAttribute(attribute));
  }

  #render() {
    const { state, error } = this;
    // Not in a constructor: what is created there has no attributes yet.
    if (this.isConnected) this.setAttribute('state', state);
    const stream = this.#devices.source ? this.#devices.stream : null;
    if (this.#video.srcObject !== stream) this.#video.srcObject = stream;
    this.#button.textContent = SENDS.includes(state) ? 'Stop' : 'Start';
    this.#button.hidden = state === 'opening';
    const said = error?.explain ? Object.values(error.explain()) : [error?.message, error?.detail];
    const words = error && state !== 'live' ? said.filter(Boolean).join(' ') : (WORDS[state] ?? '');
    if (this.#status.textContent !== words) this.#status.textContent = words;
    this.#video.setAttribute('aria-label', this.getAttribute('aria-label') ?? 'What you send');
    this.dispatchEvent(new Event('state'));
  }
}
