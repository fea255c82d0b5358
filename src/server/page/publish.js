// Sends one stream to whoever waits to receive it, and keeps at it: by WHIP.
//
//   connecting ── connected ──▶ live ── path lost ──▶ waiting ──▶ connecting
//       ├── not now ──▶ waiting ── after a while ──▶ connecting
//       └── never ────▶ failed            any ── close() ──▶ closed
import { Path } from './path.js';
import { StreamError, parseAddress, translate } from './problems.js';
import { Session } from './resource.js';
import { SendStats } from './sendstats.js';
import { Backoff, Timers } from './timers.js';

// From the offer until there is a path.
const CONNECT_MS = 12000;
// A path that was good for this long has earned a quick return.
const SETTLED_MS = 5000;

/**
 * A stream that is being sent. Event: `state` when `state` or `error` has changed.
 */
export class Publish extends EventTarget {
  #to;
  #options;
  #session = null;
  #path = null;
  #reader = new SendStats();
  #timers = new Timers();
  #backoff = new Backoff();
  /** What is sent: the tracks of this moment. @type {MediaStream} */
  stream;
  /** `connecting`, `live`, `waiting`, `failed` or `closed` */
  state = 'connecting';
  /** @type {StreamError | null} why it is not sent, or was not at last */
  error = null;
  /** How many connections there have been. */
  connections = 0;

  /**
   * @param {string} src see `parseAddress`
   * @param {MediaStream} stream its tracks stay the caller's: close() does not end them
   * @param {{token?: string, iceServers?: RTCIceServer[], giveUp?: number, maxBitrate?: number}} options
   *   `maxBitrate`: of the video, in bit/s
   */
  constructor(src, stream, options = {}) {
    super();
    this.stream = stream;
    this.#options = options;
    // Those who listen for events are not there yet.
    queueMicrotask(() => this.state === 'connecting' && this.#begin(src));
  }

  /** @type {RTCPeerConnection | null} */
  get pc() {
    return this.#session?.pc ?? null;
  }

  /** Stops sending, for good. */
  close() {
    if (this.state === 'closed') return;
    this.#drop();
    this.#become('closed');
  }

  /** Tries again now, if it waits or has failed. */
  retry() {
    if (this.state === 'waiting' || this.state === 'failed') this.#anew();
  }

  /** Sends `track` in place of the one of its kind, without a new connection. */
  async replace(track) {
    const before = this.stream.getTracks().find(({ kind }) => kind === track.kind);
    if (before) this.stream.removeTrack(before);
    this.stream.addTrack(track);
    hint(track);
    const sender = this.pc?.getSenders().find((it) => it.track === before && before);
    if (sender) await sender.replaceTrack(track);
    else if (this.pc) this.#anew();
  }

  /** Numbers of this moment, see `SendStats` in sendstats.js; rates are since the last call. */
  async stats() {
    const { pc, state, connections } = this;
    const numbers = pc ? await this.#reader.read(pc).catch(() => ({})) : {};
    return { ...numbers, state, connections };
  }

  #begin(src) {
    if (!globalThis.RTCPeerConnection) return this.#stop(new StreamError('unsupported', 'WebRTC is switched off'));
    try {
      this.#to = parseAddress(src);
      if (!this.#to.whip) throw new TypeError('that is an address to watch at');
    } catch (error) {
      return this.#stop(new StreamError('address', error.message));
    }
    this.#anew();
  }

  async #anew() {
    if (!this.#to) return;
    this.#drop();
    this.#become('connecting');
    this.#patient();
    const session = new Session(this.#options.iceServers, (pc) => this.#furnish(pc));
    const mine = (act) => (value) => session === this.#session && act(value);
    this.#session = session;
    this.#reader = new SendStats();
    this.connections += 1;
    this.#path = new Path(session.pc, { flows: () => this.#flows(), lost: mine((code) => this.#stop(new StreamError(code).sending)) }, false);
    this.#path.expect(CONNECT_MS);
    const connected = session.connect(new URL(this.#to.whip), this.#options.token ?? this.#to.token);
    await connected.then(mine(() => this.#limit()), mine((problem) => this.#stop(why(problem))));
  }

  #furnish(pc) {
    for (const track of this.stream.getTracks()) {
      hint(track);
      pc.addTransceiver(track, { direction: 'sendonly', streams: [this.stream] });
    }
  }

  // Firefox has encodings only when the answer is there.
  #limit() {
    const { maxBitrate } = this.#options;
    const sender = this.pc?.getSenders().find(({ track }) => track?.kind === 'video');
    const parameters = sender?.getParameters();
    if (!maxBitrate || !parameters?.encodings?.length) return;
    parameters.encodings[0].maxBitrate = maxBitrate;
    sender.setParameters(parameters).catch(() => {});
  }

  #flows() {
    this.#timers.clear('give-up');
    this.#timers.after('settled', SETTLED_MS, () => this.#backoff.reset());
    this.error = null;
    if (this.state !== 'live') this.#become('live');
  }

  #patient() {
    const { giveUp } = this.#options;
    const over = () => this.#stop(new StreamError('gave-up', this.error?.message));
    if (giveUp && !this.#timers.has('give-up')) this.#timers.after('give-up', giveUp, over);
  }

  // It is not sent: for now, or for good.
  #stop(error) {
    if (this.state === 'closed') return;
    this.#drop(error.retry);
    this.error = error;
    this.#become(error.retry ? 'waiting' : 'failed');
    if (error.retry) this.#timers.after('dial', this.#backoff.next(), () => this.#anew());
  }

  #drop(patient = false) {
    this.#timers.clearAll(...(patient ? ['give-up'] : []));
    this.#path?.close();
    this.#path = null;
    this.#session?.close();
    this.#session = null;
  }

  #become(state) {
    this.state = state;
    this.dispatchEvent(new Event('state'));
  }
}

function why(problem) {
  const isTaken = problem.status === 409;
  return (isTaken ? new StreamError('taken', problem.detail) : translate(problem)).sending;
}

/** What matters in a picture: of a screen its letters, of a camera its motion. */
function hint(track) {
  if (track.kind !== 'video' || track.contentHint) return;
  track.contentHint = track.getSettings?.().displaySurface ? 'detail' : 'motion';
}
