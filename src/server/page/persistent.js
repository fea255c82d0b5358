// What all who use a stream have in common, whether they watch, send or talk:
// they begin, and begin again after a while, until they are closed.
//
//   connecting ── it works ──▶ live ── not any more ──▶ waiting or connecting
//       ├── not now ──▶ waiting ── after a while ──▶ connecting
//       └── never ────▶ failed            any ── close() ──▶ closed
import { StreamError, parseAddress } from './problems.js';
import { Backoff, Timers } from './timers.js';

/**
 * Who extends it has
 *   check(address)    throws a TypeError where that is no place for it
 *   begin()           connects; what it comes to is told by the methods below
 *   release(patient)  lets go of all; `patient`: it will begin again
 * Event: `state` when `state` or `error` has changed.
 */
export class Persistent extends EventTarget {
  #backoff = new Backoff();
  /** Timers; all but `give-up` end with the try that set them. */
  timers = new Timers();
  /** What was asked for: `token`, `iceServers`, `giveUp` (ms), and more. */
  options;
  /** Where the stream is, see `parseAddress`; null while that is not known. */
  to = null;
  /** `connecting`, `live`, `waiting`, `failed`, `closed`, and for a call `alone` */
  state = 'connecting';
  /** @type {StreamError | null} why it does not work, or did not at last */
  error = null;
  /** How many connections there have been. */
  connections = 0;

  constructor(src, options) {
    super();
    this.options = options;
    // Those who listen for events are not there yet.
    queueMicrotask(() => this.state === 'connecting' && this.#locate(src));
  }

  /** Leaves, for good. */
  close() {
    if (this.state === 'closed') return;
    this.drop();
    this.become('closed');
  }

  /** Tries again now, if it waits or has failed. */
  retry() {
    if (this.state === 'waiting' || this.state === 'failed') this.anew();
  }

  /** What lets it in, if anything is needed. */
  get token() {
    return this.options.token ?? this.to.token;
  }

  #locate(src) {
    if (!globalThis.RTCPeerConnection) return this.stop(new StreamError('unsupported', 'WebRTC is switched off'));
    try {
      const to = parseAddress(src);
      this.check(to);
      this.to = to;
    } catch (error) {
      return this.stop(new StreamError('address', error.message));
    }
    this.anew();
  }

  /** From the beginning, as somebody new. */
  anew() {
    if (!this.to) return;
    this.drop();
    this.become('connecting');
    this.patient();
    this.begin();
  }

  /** It works. */
  works() {
    this.timers.clear('give-up');
    this.error = null;
    if (this.state !== 'live') this.become('live');
  }

  /** What works has proven to last: the next trouble is the first. */
  lasts() {
    this.#backoff.reset();
  }

  /** It does not work: for now, or for good. */
  stop(error) {
    if (this.state === 'closed') return;
    this.drop(error.retry);
    this.error = error;
    this.become(error.retry ? 'waiting' : 'failed');
    if (error.retry) this.timers.after('dial', this.#backoff.next(), () => this.anew());
  }

  /** From now on its patience is measured, if it has an end. */
  patient() {
    const { giveUp } = this.options;
    const over = () => this.stop(new StreamError('gave-up', this.error?.message));
    if (giveUp && !this.timers.has('give-up')) this.timers.after('give-up', giveUp, over);
  }

  drop(patient = false) {
    this.timers.clearAll(...(patient ? ['give-up'] : []));
    this.release(patient);
  }

  become(state) {
    this.state = state;
    this.emit('state');
  }

  emit(what) {
    this.dispatchEvent(new Event(what));
  }
}
