// Sends one stream to whoever waits to receive it, and keeps at it: by WHIP.
import { Path } from './path.js';
import { Persistent } from './persistent.js';
import { StreamError, translate } from './problems.js';
import { Session } from './resource.js';
import { SendStats } from './sendstats.js';

// From the offer until there is a path.
const CONNECT_MS = 12000;
// A path that was good for this long has earned a quick return.
const SETTLED_MS = 5000;

/** A stream that is being sent. */
export class Publish extends Persistent {
  #session = null;
  #path = null;
  #reader = new SendStats();
  // Which of several servers is asked.
  #asked = 0;
  /** What is sent: the tracks of this moment. @type {MediaStream} */
  stream;

  /**
   * @param {string} src see `parseAddress`
   * @param {MediaStream} stream its tracks stay the caller's: close() does not end them
   * @param {{token?: string, iceServers?: RTCIceServer[], giveUp?: number, maxBitrate?: number}} options
   *   `maxBitrate`: of the video, in bit/s
   */
  constructor(src, stream, options = {}) {
    super(src, options);
    this.stream = stream;
  }

  /** @type {RTCPeerConnection | null} */
  get pc() {
    return this.#session?.pc ?? null;
  }

  /** Sends `track` in place of the one of its kind, without a new connection. */
  async replace(track) {
    const before = this.stream.getTracks().find(({ kind }) => kind === track.kind);
    if (before) this.stream.removeTrack(before);
    this.stream.addTrack(track);
    hint(track);
    const sender = this.pc?.getSenders().find((it) => it.track === before && before);
    if (sender) await sender.replaceTrack(track);
    else if (this.pc) this.anew();
  }

  /** Numbers of this moment, see `SendStats` in sendstats.js; rates are since the last call. */
  async stats() {
    const { pc, state, connections } = this;
    const numbers = pc ? await this.#reader.read(pc).catch(() => ({})) : {};
    return { ...numbers, state, connections };
  }

  check({ at, whip }) {
    if (!at && !whip) throw new TypeError('that is an address to watch at');
  }

  async begin() {
    const session = new Session(this.options.iceServers, (pc) => this.#furnish(pc));
    const mine = (act) => (value) => session === this.#session && act(value);
    this.#session = session;
    this.#reader = new SendStats();
    this.connections += 1;
    this.#path = new Path(session.pc, { flows: () => this.#flows(), lost: mine((code) => this.stop(new StreamError(code).sending)) }, false);
    this.#path.expect(CONNECT_MS);
    const connected = session.connect(new URL(this.#place), this.token);
    await connected.then(mine(() => this.#limit()), mine((problem) => this.#refused(problem)));
  }

  get #place() {
    const { at, whip } = this.to;
    return whip ?? at[this.#asked % at.length].whip;
  }

  #refused(problem) {
    const isTaken = problem.status === 409;
    const error = isTaken ? new StreamError('taken', problem.detail) : translate(problem);
    // Another server may do as well.
    if (error.code === 'unreachable') this.#asked += 1;
    this.stop(error.sending);
  }

  #furnish(pc) {
    for (const track of this.stream.getTracks()) {
      hint(track);
      pc.addTransceiver(track, { direction: 'sendonly', streams: [this.stream] });
    }
  }

  // Firefox has encodings only when the answer is there.
  #limit() {
    const { maxBitrate } = this.options;
    const sender = this.pc?.getSenders().find(({ track }) => track?.kind === 'video');
    const parameters = sender?.getParameters();
    if (!maxBitrate || !parameters?.encodings?.length) return;
    parameters.encodings[0].maxBitrate = maxBitrate;
    sender.setParameters(parameters).catch(() => {});
  }

  #flows() {
    this.timers.after('settled', SETTLED_MS, () => this.lasts());
    this.works();
  }

  release() {
    this.#path?.close();
    this.#path = null;
    this.#session?.close();
    this.#session = null;
  }
}

/** What matters in a picture: of a screen its letters, of a camera its motion. */
function hint(track) {
  if (track.kind !== 'video' || track.contentHint) return;
  track.contentHint = track.getSettings?.().displaySurface ? 'detail' : 'motion';
}
