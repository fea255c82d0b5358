// What the page adds to a stream that is sent, or to a call: the devices, a
// preview, numbers, and what to say when it does not work.
//
//   idle ─ open ▶ choosing ─ choose ▶ ready ─ go ▶ connecting ─▶ playing
//                    ▲                  ▲            │ ▲  alone ◀─┘ (calls)
//                    └────── stop ──────┴── failed ◀─┘ └─ after a while
import { Call } from './call.js';
import { Devices } from './devices.js';
import { Problem, sendingProblem } from './errors.js';
import { Publish } from './publish.js';
import { show } from './watch.js';

const STATES = { connecting: 'connecting', alone: 'alone', live: 'playing', waiting: 'failed', failed: 'failed' };

export class Studio extends EventTarget {
  #video;
  #self;
  #base;
  #token;
  #ticker;
  #own = null;
  #since;
  #took;
  devices = new Devices();
  state = 'idle';
  /** `receive` or `call` */
  kind = 'receive';
  /** The stream that is sent to, null when none is. */
  stream = null;
  /** @type {Publish | Call | null} */
  session = null;
  /** The latest numbers. */
  latest = {};

  /**
   * @param {HTMLVideoElement} video for the far side of a call
   * @param {HTMLVideoElement} self for what is sent
   * @param {URL} base where the server is
   * @param {() => string} token
   */
  constructor(video, self, base, token) {
    super();
    this.#video = video;
    this.#self = self;
    this.#base = base;
    this.#token = token;
    this.devices.addEventListener('change', () => this.#devicesChanged());
    this.devices.addEventListener('lost', ({ detail }) => this.#deviceLost(detail));
  }

  /** Begins with `stream`: what to send is still to be chosen. */
  open(stream, kind) {
    this.leave();
    Object.assign(this, { stream, kind });
    this.#become('choosing');
  }

  /** Shows what would be sent. */
  async choose(source, sound) {
    const { stream } = this;
    this.#own = null;
    this.#become('opening');
    try {
      await this.devices.open(source, sound);
    } catch (problem) {
      if (stream !== this.stream || this.state !== 'opening') return;
      if (problem.cause === 'left') return this.#become('choosing');
      this.#own = problem;
      return this.#become('failed');
    }
    // Somebody may have gone elsewhere while the browser asked.
    if (stream !== this.stream || this.state !== 'opening') return this.devices.close();
    this.#become('ready');
  }

  /** Sends it, or joins the call. */
  go() {
    this.#hangUp();
    const src = new URL(encodeURIComponent(this.stream), this.#base).href;
    const options = { token: this.#token() };
    const session = this.kind === 'call' ? new Call(src, this.devices.stream, options) : new Publish(src, this.devices.stream, options);
    this.session = session;
    this.#since = performance.now();
    this.latest = {};
    session.addEventListener('state', () => session === this.session && this.#became(session.state));
    session.addEventListener('track', () => session === this.session && this.#emit());
    if (this.kind === 'call') {
      // Whoever joins by a click wants to hear.
      this.#video.muted = false;
      show(session, this.#video, () => this.#emit());
    }
    this.#ticker = setInterval(() => this.#tick(session), 1000);
    this.#become('connecting');
  }

  /** Sends no more; the devices stay open for the next time. */
  stop() {
    this.#hangUp();
    this.#own = null;
    this.#become(this.devices.source ? 'ready' : 'choosing');
  }

  /** Back to what can be chosen. */
  again() {
    this.#hangUp();
    this.devices.close();
    this.#own = null;
    this.#become('choosing');
  }

  /** Tries again now, if a problem keeps it from working. */
  retry() {
    if (this.state !== 'failed') return;
    if (!this.session) return this.again();
    this.#hangUp();
    this.go();
  }

  /** Another camera or microphone. */
  async use(kind, deviceId) {
    await this.#swap(() => this.devices.use(kind, deviceId));
  }

  /** The screen in place of the camera, and back. */
  async swap() {
    const source = this.devices.source === 'screen' ? 'camera' : 'screen';
    await this.#swap(() => this.devices.show(source));
  }

  /** The page goes away, or to another stream. */
  leave() {
    this.#hangUp();
    this.devices.close();
    this.#own = null;
    this.stream = null;
    this.#become('idle');
  }

  /** @type {Problem | null} why the state is `failed` */
  get problem() {
    if (this.state !== 'failed') return null;
    if (this.#own) return this.#own;
    const error = this.session?.error;
    return error ? sendingProblem(this.kind, error, { stream: this.stream }) : null;
  }

  /** The kinds ('video', 'audio') of what a call receives. */
  get kinds() {
    return this.kind === 'call' ? (this.session?.stream.getTracks().map(({ kind }) => kind) ?? []) : [];
  }

  async #swap(act) {
    try {
      const track = await act();
      await this.session?.replace(track);
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      if (problem.cause !== 'left') this.dispatchEvent(new CustomEvent('complaint', { detail: problem.explain() }));
    }
    this.#emit();
  }

  #devicesChanged() {
    const { stream } = this.devices;
    const shown = stream.getVideoTracks().length ? stream : null;
    // A <video> shows the tracks that its stream had when it was set.
    this.#self.srcObject = null;
    this.#self.srcObject = shown;
    // As in a looking glass, where one looks at oneself to be looked at.
    this.#self.classList.toggle('mirrored', this.kind === 'call' && this.devices.source === 'camera');
    this.#emit();
  }

  #deviceLost(kind) {
    if (this.devices.stream.getTracks().length) return;
    this.#hangUp();
    this.devices.close();
    const device = kind === 'video' ? 'camera or screen' : 'microphone';
    if (this.stream) this.#own = new Problem('nodevice', { device, detail: 'it has ended' });
    this.#become(this.stream ? 'failed' : 'idle');
  }

  #hangUp() {
    clearInterval(this.#ticker);
    this.session?.close();
    this.session = null;
    if (this.#video.srcObject && this.kind === 'call') this.#video.srcObject = null;
  }

  async #tick(session) {
    const now = await session.stats();
    if (session !== this.session || session.state !== 'live') return;
    this.latest = { ...(this.kind === 'call' ? { ...now.sent, received: now } : now), took: this.#took };
    this.dispatchEvent(new Event('stats'));
  }

  #became(state) {
    if (state === 'connecting' && this.state !== 'connecting') this.#since = performance.now();
    if (state === 'live' && this.state !== 'playing') this.#took = performance.now() - this.#since;
    this.#become(STATES[state] ?? this.state);
  }

  #become(state) {
    if (state === this.state && state === 'idle') return;
    this.state = state;
    this.#emit();
  }

  #emit() {
    this.dispatchEvent(new Event('change'));
  }
}
