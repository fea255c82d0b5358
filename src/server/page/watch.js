// Watches one stream, and keeps at it.
//
//   connecting ── media ──▶ live ── path lost ──▶ connecting
//       ├── not now ──▶ waiting ── after a while ──▶ connecting
//       └── never ────▶ failed            any ── close() ──▶ closed
//
// | it has                            | for                                   |
// |-----------------------------------|---------------------------------------|
// | channel.js                        | the server, found again when lost     |
// | conversation.js                   | the far side, found again when lost   |
// | path.js                           | one connection: do media flow?        |
// | whep.js, where the address says so | both of the first two                 |
import { Channel, warmUp } from './channel.js';
import { Conversation } from './conversation.js';
import { Path } from './path.js';
import { StreamError, parseAddress, translate } from './problems.js';
import { capabilities } from './receive.js';
import { StatsReader } from './stats.js';
import { Backoff, Timers } from './timers.js';

// From the offer until media are there, by WHEP.
const CONNECT_MS = 12000;

/** Opens the way to a server ahead of a `watch` that comes within seconds. */
export function prepare(src) {
  const { ws } = parseAddress(src);
  capabilities();
  if (ws) warmUp(ws);
}

/**
 * A stream that is being watched. Events: `state` when `state`, `signalling` or
 * `error` has changed, `track` when `stream` has got one.
 */
export class Watch extends EventTarget {
  #to;
  #options;
  #iceServers;
  #channel = null;
  #talk = null;
  #whep = null;
  #timers = new Timers();
  #backoff = new Backoff();
  /** What to show: the same object for life, whatever becomes of connections. */
  stream = new MediaStream();
  /** `connecting`, `live`, `waiting`, `failed` or `closed` */
  state = 'connecting';
  /** @type {StreamError | null} why it does not play, or did not at last */
  error = null;
  /** What the publisher calls us. */
  peer = null;
  /** How many connections there have been. */
  connections = 0;

  /**
   * @param {string} src see `parseAddress`
   * @param {{token?: string, iceServers?: RTCIceServer[], giveUp?: number, wait?: boolean}} options
   *   `giveUp`: after so many ms without media it is `failed`; never, if left out.
   *   `wait`: it stays with the server until somebody publishes, by WHIP perhaps
   */
  constructor(src, options = {}) {
    super();
    this.#options = options;
    this.#iceServers = options.iceServers ?? [];
    // Those who listen for events are not there yet.
    queueMicrotask(() => this.state === 'connecting' && this.#begin(src));
  }

  /** Leaves, for good. */
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
    return this.#talk?.pc ?? this.#whep?.session.pc ?? null;
  }

  /** Numbers of this moment, see `StatsReader` in stats.js; rates are since the last call. */
  async stats() {
    const { state, signalling, connections } = this;
    const numbers = (await this.#talk?.stats()) ?? (await this.#whep?.reader.read(this.#whep.session.pc).catch(() => ({})));
    return { ...numbers, state, signalling, connections };
  }

  #begin(src) {
    if (!globalThis.RTCPeerConnection) return this.#stop(new StreamError('unsupported', 'WebRTC is switched off'));
    try {
      this.#to = parseAddress(src);
    } catch (error) {
      return this.#stop(new StreamError('address', error.message));
    }
    this.#anew();
  }

  // From the beginning, as a new peer.
  #anew() {
    if (!this.#to) return;
    this.#drop();
    this.#become('connecting');
    this.#patient();
    if (this.#to.whep) return this.#connectByWhep();
    const channel = new Channel(this.#to.ws, this.#client(() => channel === this.#channel));
    this.#channel = channel;
    channel.open();
  }

  // What the channel tells us.
  #client(mine) {
    const { wait } = this.#options;
    return {
      greeting: () => {
        const { token = this.#to.token } = this.#options;
        const who = { role: 'view', stream: this.#to.stream, receives: capabilities() };
        return { ...who, ...(token && { token }), ...(wait && { wait }) };
      },
      // The answer is under way: time to get ready.
      greeted: () => this.#talk || wait || this.#meet(),
      welcomed: (message, again) => this.#welcomed(message, again),
      heard: (message) => mine() && this.#heard(message),
      lost: () => this.#lost(),
      dials: () => this.state === 'waiting' && this.#become('connecting'),
      forgotten: () => this.#forgotten(),
      refused: (error) => mine() && this.#stop(error),
    };
  }

  #meet(how) {
    this.#talk?.close();
    const channel = this.#channel;
    const talk = new Conversation(
      {
        note: (note) => channel.note(note),
        iceServers: () => this.#iceServers,
        track: (event) => this.#gotTrack(event.track),
        flows: () => this.#flows(),
        restarts: (code) => talk === this.#talk && this.#restarts(code),
        over: (error) => talk === this.#talk && this.#stop(error),
      },
      how,
    );
    this.#talk = talk;
    this.#fresh();
  }

  #welcomed({ peer, iceServers, sessions }, again) {
    if (this.state === 'live') this.#channel.settle();
    this.peer = peer;
    this.#serve(iceServers);
    // A server that does not know of waiting has let us in because somebody is here.
    if (this.#options.wait && !sessions && !this.#talk) this.#meet();
    if (again) this.#talk?.catchUp();
    else this.#talk?.start();
    this.#emit('state');
  }

  #heard({ type, note, info, kind, text, reason, iceServers }) {
    if (type === 'ice-servers') return this.#serve(iceServers);
    if (type === 'note' && note.type === 'bye') return this.#stop(new StreamError('ended', note.reason));
    if (type === 'note') return this.#talk?.hear(note);
    if (type === 'refused') return this.#stop(new StreamError(kind, text));
    if (type === 'ended') return this.#stop(new StreamError('ended', reason));
    if (type === 'joined') {
      this.#meet({ trickles: info?.trickle ?? true });
      this.#talk.start();
    }
    if (type === 'left') this.#alone(new StreamError('ended', reason));
  }

  // Those that the page names count; else the server's latest.
  #serve(iceServers) {
    if (!iceServers || this.#options.iceServers) return;
    this.#iceServers = iceServers;
    this.#talk?.serve(iceServers);
  }

  // Nobody publishes now; the place is kept.
  #alone(error) {
    this.#talk?.close();
    this.#talk = null;
    this.#clearTracks();
    this.error = error;
    this.#become('connecting');
    this.#patient();
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

  // The server does not know us any more; the publisher may well.
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

  async #connectByWhep() {
    const { WhepSession } = await import('./whep.js');
    if (this.state !== 'connecting') return;
    const session = new WhepSession(this.#iceServers);
    const mine = (act) => (value) => session === this.#whep?.session && act(value);
    const path = new Path(session.pc, {
      track: ({ track }) => this.#gotTrack(track),
      flows: () => this.#flows(),
      lost: mine((code) => this.#stop(new StreamError(code))),
    });
    this.#whep = { session, path, reader: new StatsReader() };
    this.#fresh();
    path.expect(CONNECT_MS);
    const connected = session.connect(new URL(this.#to.whep), this.#options.token ?? this.#to.token);
    await connected.catch(mine((problem) => this.#stop(translate(problem))));
  }

  // It does not play: for now, or for good.
  #stop(error) {
    if (this.state === 'closed') return;
    this.#drop(error.retry);
    this.error = error;
    this.#become(error.retry ? 'waiting' : 'failed');
    if (error.retry) this.#timers.after('dial', this.#backoff.next(), () => this.#anew());
  }

  #drop(patient = false) {
    this.#timers.clearAll(...(patient ? ['give-up'] : []));
    this.#channel?.note({ type: 'bye', reason: 'it left' });
    this.#channel?.close();
    this.#channel = null;
    this.#talk?.close();
    this.#talk = null;
    this.#whep?.path.close();
    this.#whep?.session.close();
    this.#whep = null;
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

/** Shows what is watched in a <video>, through all connections; calls back when it may not play. */
export function show(watch, video, blocked = () => {}) {
  let shown = 0;
  const refresh = () => {
    // A <video> that waits for its first picture holds up the page's `load`.
    const ready = document.readyState === 'complete' || watch.state === 'live';
    if (!ready || !watch.stream.getTracks().length) return;
    // A stream whose tracks have all ended is over for a <video>, whatever is added.
    if (watch.connections !== shown) video.srcObject = watch.stream;
    shown = watch.connections;
    if (video.paused) video.play().catch((error) => error.name === 'NotAllowedError' && blocked());
  };
  for (const event of ['track', 'state']) watch.addEventListener(event, refresh);
}
