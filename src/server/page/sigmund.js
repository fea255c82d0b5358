// Streams of Sigmund in any web page: `watch`, `publish` and `call`, and the
// elements <rtc-stream src="…"> and <rtc-publish src="…">. docs/sigmund-js.md
// explains them. What else it needs lies beside it.
import { Call } from './call.js';
import { Channels } from './channels.js';
import { navigate } from './navigate.js';
import { StreamError } from './problems.js';
import { Publish } from './publish.js';
import { RtcPublish } from './rtcpublish.js';
import { Watch, prepare, show } from './watch.js';

export {
  Call, Channels, Publish, RtcPublish, StreamError, Watch, navigate, prepare, show,
};

/** Plays a stream, and keeps at it. See `Watch`. */
export const watch = (src, options) => new Watch(src, options);

/** Sends a `MediaStream` to whoever waits to receive it. See `Publish`. */
export const publish = (src, stream, options) => new Publish(src, stream, options);

/** Talks: sends a `MediaStream`, and receives one. See `Call`. */
export const call = (src, stream, options) => new Call(src, stream, options);

const STYLE = `
  :host { display: inline-block; position: relative; inline-size: 640px; max-inline-size: 100%; aspect-ratio: 16 / 9; background: #000; color: #fff; overflow: hidden; font: 15px/1.4 system-ui, sans-serif; }
  :host([hidden]) { display: none; }
  video { display: block; inline-size: 100%; block-size: 100%; object-fit: contain; }
  p { position: absolute; inset: auto 0 0; margin: 0; padding: .6em 1em; background: #000a; text-align: center; }
  p:empty, button[hidden] { display: none; }
  button { position: absolute; inset: 0; margin: auto; inline-size: max-content; block-size: max-content; padding: .7em 1.4em; border: 0; border-radius: 99px; background: #fffffff0; color: #10161d; font: inherit; font-weight: 600; cursor: pointer; }
  button:focus-visible { outline: 3px solid #2dd4bf; outline-offset: 3px; }
`;

const WORDS = { connecting: 'Connecting …', live: '', closed: '' };

/**
 * `<rtc-stream src token controls muted autoplay give-up navigation>`: a picture, and
 * words where there is none. Parts to style: `video`, `status`, `button`. Its
 * event `state` follows `Watch`; its attribute `state` can be styled.
 */
export class RtcStream extends HTMLElement {
  static observedAttributes = ['src', 'token', 'controls', 'muted', 'autoplay'];
  #video = document.createElement('video');
  #status = document.createElement('p');
  #button = document.createElement('button');
  #watch = null;
  #channels = null;
  #navigation = null;
  #planned = false;
  #isBlocked = false;

  constructor() {
    super();
    const root = this.attachShadow({ mode: 'open' });
    const style = new CSSStyleSheet();
    style.replaceSync(STYLE);
    root.adoptedStyleSheets = [style];
    Object.assign(this.#video, { playsInline: true, part: 'video' });
    Object.assign(this.#button, { type: 'button', part: 'button', textContent: 'Play', hidden: true });
    this.#status.part = 'status';
    this.#status.role = 'status';
    this.#status.ariaLive = 'polite';
    this.#button.addEventListener('click', () => this.play());
    this.#video.addEventListener('playing', () => this.#block(false));
    root.append(this.#video, this.#status, this.#button);
  }

  /** The `Watch` behind it, null while there is none. */
  get watch() { return this.#watch; }
  /** The <video>, for its volume, its full screen, its picture in picture. */
  get video() { return this.#video; }
  /** `idle`, or what `Watch` says. */
  get state() { return this.#watch?.state ?? 'idle'; }
  /** @type {StreamError | null} */
  get error() { return this.#watch?.error ?? null; }
  get src() { return this.getAttribute('src') ?? ''; }
  set src(src) { this.setAttribute('src', src); }
  /** Need not be an attribute: what is set here stays out of the document. */
  get token() { return this.#token ?? this.getAttribute('token') ?? undefined; }
  set token(token) {
    this.#token = token;
    this.#plan();
  }
  #token;

  /** Its data channels, see `Channels`; null while there are none. */
  get channels() { return this.#channels; }

  /** See `Channels.send`. */
  send(data, label) {
    return this.#channels?.send(data, label) ?? false;
  }

  /** Begins, or goes on. */
  play() {
    if (!this.#watch) this.#begin();
    else if (this.state === 'live' || this.state === 'connecting') this.#video.play().catch(() => this.#block(true));
    else this.#watch.retry();
  }

  /** Shows nothing any more, until `play` is called. */
  stop() {
    this.#channels?.close();
    this.#navigation?.();
    this.#watch?.close();
    this.#channels = null;
    this.#navigation = null;
    this.#watch = null;
    this.#video.srcObject = null;
    this.#render();
  }

  /** See `Watch.stats`. */
  stats() {
    return this.#watch?.stats() ?? Promise.resolve({ state: 'idle' });
  }

  connectedCallback() {
    addEventListener('pagehide', this);
    addEventListener('pageshow', this);
    this.#plan();
  }

  disconnectedCallback() {
    removeEventListener('pagehide', this);
    removeEventListener('pageshow', this);
    // To move an element is to take it out and put it in again.
    queueMicrotask(() => this.isConnected || this.stop());
  }

  attributeChangedCallback(name, before, value) {
    if (before === value) return;
    if (name === 'controls') this.#video.controls = value !== null;
    else if (name === 'muted') this.#video.muted = value !== null;
    else this.#plan(name);
  }

  handleEvent({ type, persisted }) {
    if (type === 'pagehide') this.stop();
    else if (persisted) this.#plan();
  }

  // Attributes are set one by one: what follows from them all follows once.
  #plan(name) {
    if (this.#planned || !this.isConnected) return;
    if (name === 'autoplay' && this.#watch) return;
    this.#planned = true;
    queueMicrotask(() => {
      this.#planned = false;
      if (!this.isConnected) return;
      const running = Boolean(this.#watch);
      this.stop();
      if (this.src && (running || this.hasAttribute('autoplay'))) this.#begin();
    });
  }

  #begin() {
    if (!this.src) return;
    const giveUp = Number(this.getAttribute('give-up')) * 1000 || undefined;
    this.#watch = watch(new URL(this.src, document.baseURI).href, { token: this.token, giveUp });
    show(this.#watch, this.#video, () => this.#block(true));
    this.#attend(new Channels(this.#watch));
    const mine = this.#watch;
    mine.addEventListener('state', () => mine === this.#watch && this.#render());
    this.#render();
  }

  // Its events go on as ours.
  #attend(channels) {
    this.#channels = channels;
    if (this.hasAttribute('navigation')) this.#navigation = navigate(channels, this.#video);
    channels.addEventListener('channel', () => channels === this.#channels && this.dispatchEvent(new Event('channel')));
    channels.addEventListener('message', ({ label, data }) =>
      channels === this.#channels && this.dispatchEvent(Object.assign(new Event('message'), { label, data })));
  }

  // Browsers play no sound before somebody has touched the page.
  #block(isBlocked) {
    if (this.#isBlocked === isBlocked) return;
    this.#isBlocked = isBlocked;
    this.#render();
  }

  #render() {
    const { state, error } = this;
    this.setAttribute('state', state);
    this.#button.hidden = !(state === 'idle' || state === 'failed' || this.#isBlocked);
    this.#button.textContent = state === 'failed' ? 'Try again' : 'Play';
    const words = error && state !== 'live' ? [error.message, error.detail].filter(Boolean).join(' ') : (WORDS[state] ?? '');
    if (this.#status.textContent !== words) this.#status.textContent = words;
    this.#video.setAttribute('aria-label', this.getAttribute('aria-label') ?? 'Live stream');
    this.dispatchEvent(new Event('state'));
  }
}

// Twice loaded, by two parts of a page, it is still one element.
for (const [name, element] of Object.entries({ 'rtc-stream': RtcStream, 'rtc-publish': RtcPublish })) {
  if (!customElements.get(name)) customElements.define(name, element);
}
