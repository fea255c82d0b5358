// Talks to one far side: sends and receives, and keeps at it.
//
//   connecting ── the first ──▶ alone ── somebody comes ──▶ connecting
//       ├── media ──▶ live ── path lost ──▶ connecting
//       ├── not now ──▶ waiting ── after a while ──▶ connecting
//       └── never ────▶ failed            any ── close() ──▶ closed
//
// Who is the first at a call hosts it and offers; the next is its guest
// (docs/sigmund-v1.md, "Calls").
import { Channel } from './channel.js';
import { Conversation } from './conversation.js';
import { StreamError, parseAddress } from './problems.js';
import { capabilities } from './receive.js';
import { SendStats } from './sendstats.js';
import { Backoff, Timers } from './timers.js';

/**
 * A call. Events: `state` when `state`, `signalling` or `error` has changed,
 * `track` when `stream` has got one.
 */
export class Call extends EventTarget {
  #to;
  #options;
  #iceServers;
  #channel = null;
  #talk = null;
  #hosts = false;
  #mark;
  #timers = new Timers();
  #backoff = new Backoff();
  #sent = new SendStats();
  #sentBy = null;
  /** What we send: the tracks of this moment. @type {MediaStream} */
  local;
  /** What the far side sends: the same object for life. */
  stream = new MediaStream();
  /** `connecting`, `alone`, `live`, `waiting`, `failed` or `closed` */
  state = 'connecting';
  /** @type {StreamError | null} why it does not work, or did not at last */
  error = null;
  /** Whom we talk to; as a guest that is `publisher`. */
  peer = null;
  /** How many connections there have been. */
  connections = 0;

  /**
   * @param {string} src see `parseAddress`
   * @param {MediaStream} local its tracks stay the caller's: close() does not end them
   * @param {{token?: string, iceServers?: RTCIceServer[], giveUp?: number}} options
   */
  constructor(src, local, options = {}) {
    super();
    this.local = local;
    this.#options = options;
    this.#iceServers = options.iceServers ?? [];
    // Those who listen for events are not there yet.
    queueMicrotask(() => this.state === 'connecting' && this.#begin(src));
  }

  /** Hangs up, for good. */
  close() {
    if (this.state === 'closed') return;
    this.#drop();
    this.#become('closed');
  }

  /** Tries again now, if it waits or has failed. */
  retry() {
    if (this.state === 'waiting' || this.state === 'failed') this.#anew();
  }

  /** `none`, `open`, `lost` (being mended), or `gone`: media go on without it */
  get signalling() {
    return this.#channel?.state ?? 'none';
  }

  /** @type {RTCPeerConnection | null} */
  get pc() {
    return this.#talk?.pc ?? null;
  }

  /** Sends `track` in place of the one of its kind, without a new connection. */
  async replace(track) {
    const before = this.local.getTracks().find(({ kind }) => kind === track.kind);
    if (before) this.local.removeTrack(before);
    this.local.addTrack(track);
    const takes = ({ sender, receiver, direction }) =>
      receiver.track.kind === track.kind && direction !== 'recvonly' && direction !== 'inactive' && (sender.track === (before ?? null));
    await this.pc?.getTransceivers().find(takes)?.sender.replaceTrack(track);
  }

  /** Numbers of what arrives (see `StatsReader`), with what is sent as `sent` (`SendStats`). */
  async stats() {
    const { state, signalling, connections, pc } = this;
    if (this.#sentBy !== pc) this.#sent = new SendStats();
    this.#sentBy = pc;
    const numbers = await this.#talk?.stats();
    const sent = pc ? await this.#sent.read(pc).catch(() => ({})) : {};
    return { ...numbers, sent, state, signalling, connections };
  }

  #begin(src) {
    if (!globalThis.RTCPeerConnection) return this.#stop(new StreamError('unsupported', 'WebRTC is switched off'));
    try {
      this.#to = parseAddress(src);
      if (!this.#to.ws) throw new TypeError('a call is at a server of Sigmund');
    } catch (error) {
      return this.#stop(new StreamError('address', error.message));
    }
    this.#anew();
  }

  #anew() {
    if (!this.#to) return;
    this.#drop();
    this.#become('connecting');
    this.#patient();
    const channel = new Channel(this.#to.ws, {
      greeting: () => this.#greeting(),
      greeted: () => {},
      welcomed: (message, again) => this.#welcomed(message, again),
      heard: (message) => channel === this.#channel && this.#heard(message),
      lost: () => this.#lost(),
      dials: () => this.state === 'waiting' && this.#become('connecting'),
      forgotten: () => this.#forgotten(),
      refused: (error) => channel === this.#channel && this.#stop(error),
    });
    this.#channel = channel;
    channel.open();
  }

  #greeting() {
    const { token = this.#to.token } = this.#options;
    const who = { role: 'call', stream: this.#to.stream, receives: capabilities() };
    const guest = this.#talk && this.#mark && { sessions: [{ peer: this.peer, mark: this.#mark }] };
    return { ...who, ...(token && { token }), ...(this.#hosts && { host: true, ...guest }) };
  }

  #welcomed({ host = false, iceServers, sessions }, again) {
    if (this.state === 'live') this.#channel.settle();
    const hosted = this.#hosts;
    this.#hosts = host;
    this.#serve(iceServers);
    if (again) {
      this.#talk?.catchUp();
      // Who left meanwhile is not in the list; a server that was killed has none.
      if (hosted && sessions && this.#talk && !sessions.includes(this.peer)) this.#alone();
      if (hosted && !this.#talk && this.state !== 'alone') this.#become('alone');
    } else if (host) this.#become('alone');
    else this.#meet('publisher', { offers: false });
    this.#emit('state');
  }

  #heard(message) {
    const { type, peer, note, info = {}, kind, text, reason } = message;
    if (type === 'ice-servers') return this.#serve(message.iceServers);
    if (type === 'refused') return this.#stop(new StreamError(kind, text));
    if (type === 'ended') return this.#ended(reason);
    if (type === 'joined') {
      this.#mark = info.mark;
      return this.#meet(peer, { offers: !info.offers, trickles: info.trickle ?? true });
    }
    if (peer !== this.peer) return;
    if (type === 'left') return this.#alone();
    if (type !== 'note') return;
    if (note.type !== 'bye') return this.#talk?.hear(note);
    if (this.#hosts) this.#alone();
    else this.#ended(note.reason);
  }

  // As a guest: the host is gone, and we may be the next.
  #ended(reason) {
    const error = new StreamError('ended', reason);
    // One that ends us at once would do so again.
    if (this.state !== 'live') return this.#stop(error);
    this.error = error;
    this.#anew();
  }

  #meet(peer, how) {
    this.#talk?.close();
    this.peer = peer;
    const channel = this.#channel;
    const talk = new Conversation(
      {
        note: (note) => channel.note(note, peer),
        iceServers: () => this.#iceServers,
        track: ({ track }) => this.#gotTrack(track),
        flows: () => this.#flows(),
        restarts: (code) => talk === this.#talk && this.#restarts(code),
        over: (error) => talk === this.#talk && this.#over(error),
      },
      { ...how, local: this.local },
    );
    this.#talk = talk;
    this.#fresh();
    if (this.state !== 'connecting') this.#become('connecting');
    talk.start();
  }

  // Nobody is here now but us.
  #alone() {
    this.#talk?.close();
    this.#talk = null;
    this.peer = null;
    this.#mark = undefined;
    this.#clearTracks();
    this.#become('alone');
  }

  #over(error) {
    if (!this.#hosts) return this.#stop(error);
    this.#channel.say({ type: 'end', peer: this.peer, reason: error.detail });
    this.#alone();
  }

  #serve(iceServers) {
    if (!iceServers || this.#options.iceServers) return;
    this.#iceServers = iceServers;
    this.#talk?.serve(iceServers);
  }

  // The server is lost. Media need it no more.
  #lost() {
    if (this.#talk) this.#talk.isHeard = false;
    if (this.state !== 'live') {
      this.error = new StreamError('unreachable');
      this.#become('waiting');
    }
    this.#emit('state');
  }

  #forgotten() {
    if (this.#talk?.owes || this.state !== 'live') return this.#anew();
    this.#emit('state');
  }

  #restarts(code) {
    if (this.signalling === 'gone') return this.#anew();
    this.error = new StreamError(code);
    this.#patient();
    this.#fresh();
    this.#become('connecting');
  }

  #flows() {
    this.#timers.clear('give-up');
    this.#channel?.settle();
    this.#backoff.reset();
    this.error = null;
    if (this.state !== 'live') this.#become('live');
  }

  #fresh() {
    this.connections += 1;
    this.#clearTracks();
  }

  #gotTrack(track) {
    this.stream.addTrack(track);
    this.#emit('track');
  }

  #clearTracks() {
    for (const track of this.stream.getTracks()) this.stream.removeTrack(track);
  }

  #patient() {
    const { giveUp } = this.#options;
    const over = () => this.#stop(new StreamError('gave-up', this.error?.message));
    if (giveUp && !this.#timers.has('give-up')) this.#timers.after('give-up', giveUp, over);
  }

  // It does not work: for now, or for good.
  #stop(error) {
    if (this.state === 'closed') return;
    this.#drop(error.retry);
    this.error = error;
    this.#become(error.retry ? 'waiting' : 'failed');
    if (error.retry) this.#timers.after('dial', this.#backoff.next(), () => this.#anew());
  }

  #drop(patient = false) {
    this.#timers.clearAll(...(patient ? ['give-up'] : []));
    if (this.#talk && !this.#hosts) this.#channel?.note({ type: 'bye', reason: 'it left' });
    this.#channel?.close();
    this.#channel = null;
    this.#talk?.close();
    this.#talk = null;
    this.#hosts = false;
    this.#mark = undefined;
    this.peer = null;
    this.#clearTracks();
  }

  #become(state) {
    this.state = state;
    this.#emit('state');
  }

  #emit(what) {
    this.dispatchEvent(new Event(what));
  }
}
