// Watches one stream, and keeps at it.
//
//   connecting ── media ──▶ live ── path lost ──▶ connecting
//       ├── not now ──▶ waiting ── after a while ──▶ connecting
//       └── never ────▶ failed            any ── close() ──▶ closed
//
// What passes on the wire: docs/sigmund-v1.md.
import { StreamError, parseAddress, translate } from './problems.js';
import { allowStereo, capabilities, playSoon } from './receive.js';
import { StatsReader } from './stats.js';

const VERSION = 'sigmund.v1';
// Before a lost server, or a stream that is not there, is asked again (ms).
const BACKOFF = { first: 250, most: 8000 };
// How long the server may take to welcome us.
const WELCOME_MS = 10000;
// How long an offer is waited for, before one more round; doubled each time.
const OFFER_MS = 5000;
const ROUNDS_UNANSWERED = 3;
// From the offer until media are there.
const CONNECT_MS = 12000;
// A path that browsers call "disconnected" for this long is lost.
const DISCONNECTED_MS = 2500;
// Nothing arrived for this long although the path is there.
const SILENT_MS = 12000;

const warm = new Map();

/** Opens the way to a server ahead of a `watch` that comes within seconds. */
export function prepare(src) {
  const { ws } = parseAddress(src);
  capabilities();
  if (!ws || warm.get(ws)?.readyState <= WebSocket.OPEN) return;
  warm.set(ws, new WebSocket(ws, VERSION));
}

function dial(ws) {
  const socket = warm.get(ws);
  warm.delete(ws);
  return socket?.readyState <= WebSocket.OPEN ? socket : new WebSocket(ws, VERSION);
}

/**
 * A stream that is being watched. Events: `state` when `state`, `signalling` or
 * `error` has changed, `track` when `stream` has got one.
 */
export class Watch extends EventTarget {
  #to;
  #options;
  #socket = null;
  #resume = null;
  #resuming = false;
  #tries = 0;
  #unanswered = 0;
  #fruitless = 0;
  #rounds = { ours: 1, theirs: 1 };
  #owed = false;
  #work = Promise.resolve();
  #timers = new Map();
  #seen = {};
  #reader = new StatsReader();
  /** What to show: the same object for life, whatever becomes of connections. */
  stream = new MediaStream();
  /** `connecting`, `live`, `waiting`, `failed` or `closed` */
  state = 'connecting';
  /** `none`, `open`, `lost` (being mended), or `gone`: media go on without it */
  signalling = 'none';
  /** @type {StreamError | null} why it does not play, or did not at last */
  error = null;
  /** @type {RTCPeerConnection | null} */
  pc = null;
  /** What the publisher calls us. */
  peer = null;
  /** How many connections there have been. */
  connections = 0;

  /**
   * @param {string} src see `parseAddress`
   * @param {{token?: string, iceServers?: RTCIceServer[], giveUp?: number}} options
   *   `giveUp`: after so many ms without media it is `failed`; never, if left out
   */
  constructor(src, options = {}) {
    super();
    this.#options = options;
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

  /** Numbers of this moment, see `StatsReader` in stats.js; rates are since the last call. */
  async stats() {
    const { pc, state, signalling, connections } = this;
    const numbers = pc ? await this.#reader.read(pc).catch(() => ({})) : {};
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
    if (this.#to.whep) this.#connectByWhep();
    else this.#connect();
  }

  #connect() {
    const socket = (this.#socket = dial(this.#to.ws));
    const mine = (handle) => (event) => socket === this.#socket && handle(event);
    const greet = mine(() => this.#greet());
    if (socket.readyState === WebSocket.OPEN) greet();
    else socket.onopen = greet;
    socket.onmessage = mine(({ data }) => {
      const take = mine(() => this.#take(JSON.parse(data)));
      this.#work = this.#work.then(take).catch((error) => this.#stop(new StreamError('malformed', error.message)));
    });
    socket.onclose = () => {
      // What has arrived is read first.
      this.#work = this.#work.then(mine(() => this.#redial()));
    };
    this.#after('welcome', WELCOME_MS, () => this.#redial());
  }

  #greet() {
    const { token = this.#to.token } = this.#options;
    this.#resuming = Boolean(this.#resume);
    const who = { type: 'hello', version: VERSION, role: 'view', stream: this.#to.stream, receives: capabilities() };
    this.#say({ ...who, ...(token && { token }), ...(this.#resume && { resume: this.#resume }) });
    // The answer is under way: time to get ready.
    if (!this.pc) this.#renew();
  }

  #say(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  #note(note) {
    this.#say({ type: 'note', peer: 'publisher', note });
  }

  #take(message) {
    if (message.type === 'welcome') return this.#welcomed(message);
    if (message.type === 'note') return this.#hear(message.note);
    if (message.type === 'error') return this.#turnedOut(message);
    if (message.type === 'refused') return this.#stop(new StreamError(message.kind, message.text));
    if (message.type === 'ended') return this.#stop(new StreamError('ended', message.reason));
  }

  #welcomed({ peer, resume, iceServers }) {
    this.#clear('welcome');
    if (this.state === 'live') this.#tries = 0;
    Object.assign(this, { peer, signalling: 'open' });
    this.#resume = resume;
    if (iceServers) this.#serve(iceServers);
    if (!this.#resuming) this.#awaitOffer();
    else if (this.#owed) this.#again();
    this.#emit('state');
  }

  #turnedOut({ code, text, retry }) {
    const error = new StreamError(code, text, retry);
    const welcomed = this.signalling === 'open';
    // The server stops: who comes back in time is who it was.
    if (welcomed && code === 'gone') return;
    this.#resume = null;
    if (!welcomed && this.#resuming && code === 'gone') return this.#forgotten();
    this.#stop(error);
  }

  // The server does not know us any more; the publisher may well.
  #forgotten() {
    if (this.#owed || this.state !== 'live') return this.#anew();
    this.#hangUp();
    this.signalling = 'gone';
    this.#emit('state');
  }

  // The server is lost. Media need it no more.
  #redial() {
    this.#hangUp();
    this.signalling = 'lost';
    if (this.state !== 'live') {
      this.error = new StreamError('unreachable');
      this.#become('waiting');
    }
    this.#emit('state');
    this.#after('dial', this.#backoff(), () => {
      if (this.state === 'waiting') this.#become('connecting');
      this.#connect();
    });
  }

  #backoff() {
    const wait = Math.min(BACKOFF.first * 2 ** this.#tries, BACKOFF.most);
    this.#tries += 1;
    // Spread the viewers of a server that has just come back.
    return wait * (0.5 + Math.random());
  }

  async #hear(note) {
    if (note.type === 'again') return this.#heardAgain(note.round);
    if (note.type === 'bye') return this.#stop(new StreamError('ended', note.reason));
    const { pc } = this;
    if (this.#rounds.ours !== this.#rounds.theirs || !pc) return;
    if (note.type === 'candidate') await pc.addIceCandidate(note).catch(() => {});
    if (note.type !== 'offer') return;
    this.#clear('offer');
    this.#unanswered = 0;
    this.#awaitMedia();
    await this.#answer(pc, note.sdp).catch((error) => {
      if (pc === this.pc) throw error;
    });
  }

  async #answer(pc, offer) {
    await pc.setRemoteDescription({ type: 'offer', sdp: offer });
    const { sdp } = await pc.createAnswer();
    const answer = { type: 'answer', sdp: allowStereo(sdp) };
    // Its candidates come after it: they are found once it is set.
    const held = (pc.held = []);
    await pc.setLocalDescription(answer);
    if (pc !== this.pc) return;
    this.#note(answer);
    delete pc.held;
    held.forEach((candidate) => this.#note(candidate));
  }

  #heardAgain(round) {
    const { ours, theirs } = this.#rounds;
    if (round > ours) {
      this.#rounds = { ours: round, theirs: round };
      this.#owed = false;
      this.#restart('lost');
      this.#note({ type: 'again', round });
      this.#awaitOffer();
    } else if (round === ours && theirs < round) this.#rounds.theirs = round;
  }

  #awaitOffer() {
    this.#after('offer', OFFER_MS * 2 ** this.#unanswered, () => {
      this.#unanswered += 1;
      if (this.#unanswered < ROUNDS_UNANSWERED) this.#pathLost('path');
      else this.#stop(new StreamError('busy', 'the publisher makes no offer'));
    });
  }

  #awaitMedia() {
    // A source may be paused for long: no need to ask every few seconds.
    this.#after('connect', CONNECT_MS * 2 ** Math.min(this.#fruitless, 3), () => {
      this.#fruitless += 1;
      this.#pathLost(this.pc?.connectionState === 'connected' ? 'silent' : 'path');
    });
  }

  // Another connection under the same name, if the server still knows us.
  #pathLost(code) {
    if (this.#to.whep) return this.#stop(new StreamError(code));
    if (this.signalling === 'gone') return this.#anew();
    this.#owed = true;
    this.#restart(code);
    if (this.signalling === 'open') this.#again();
  }

  #again() {
    this.#owed = false;
    this.#rounds.ours += 1;
    this.#note({ type: 'again', round: this.#rounds.ours });
    this.#awaitOffer();
  }

  #restart(code) {
    this.error = new StreamError(code);
    this.#patient();
    this.#renew();
    this.#become('connecting');
  }

  #patient() {
    const { giveUp } = this.#options;
    if (giveUp && !this.#timers.has('give-up')) this.#after('give-up', giveUp, () => this.#stop(new StreamError('gave-up', this.error?.message)));
  }

  #serve(iceServers) {
    this.#options = { ...this.#options, iceServers: this.#options.iceServers ?? iceServers };
    if (this.pc.signalingState === 'stable') this.pc.setConfiguration({ ...this.pc.getConfiguration(), iceServers: this.#options.iceServers });
  }

  #renew() {
    this.#release();
    const pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle', iceServers: this.#options.iceServers ?? [] });
    pc.onicecandidate = ({ candidate }) => {
      if (pc !== this.pc) return;
      const note = candidate ? { type: 'candidate', ...candidate.toJSON() } : { type: 'end-of-candidates' };
      if (pc.held) pc.held.push(note);
      else this.#note(note);
    };
    this.#attend(pc);
  }

  #attend(pc) {
    this.pc = pc;
    this.connections += 1;
    this.#reader = new StatsReader();
    this.#seen = {};
    const mine = (handle) => (event) => pc === this.pc && handle(event);
    pc.ontrack = mine(({ track, receiver }) => {
      playSoon(receiver);
      this.stream.addTrack(track);
      track.onunmute = mine(() => this.#flows());
      if (!track.muted) this.#flows();
      this.#emit('track');
    });
    pc.onconnectionstatechange = mine(() => this.#pathChanged(pc.connectionState));
    this.#after('silent', 1000, () => this.#listen(pc));
  }

  #pathChanged(state) {
    this.#clear('disconnected');
    if (state === 'disconnected') this.#after('disconnected', DISCONNECTED_MS, () => this.#pathLost('lost'));
    if (state === 'failed') this.#pathLost(this.state === 'live' ? 'lost' : 'path');
    // The far side has closed it; whether for good, it may be about to say.
    if (state === 'closed') this.#after('disconnected', DISCONNECTED_MS, () => this.#pathLost('lost'));
  }

  #flows() {
    this.#clear('connect');
    this.#clear('give-up');
    this.#tries = 0;
    this.#fruitless = 0;
    this.error = null;
    if (this.state !== 'live') this.#become('live');
  }

  // Does anything arrive? Looked after once a second.
  async #listen(pc) {
    const reports = await pc.getStats().catch(() => []);
    if (pc !== this.pc) return;
    let bytes = 0;
    reports.forEach?.((it) => it.type === 'inbound-rtp' && (bytes += it.bytesReceived ?? 0));
    const now = performance.now();
    if (bytes !== this.#seen.bytes || this.state !== 'live') this.#seen = { bytes, at: now };
    if (now - this.#seen.at > SILENT_MS) return this.#pathLost('silent');
    this.#after('silent', 1000, () => this.#listen(pc));
  }

  async #connectByWhep() {
    const { WhepSession } = await import('./whep.js');
    let session;
    try {
      session = new WhepSession(this.#options.iceServers);
      this.session = session;
      this.#attend(session.pc);
      this.#awaitMedia();
      await session.connect(new URL(this.#to.whep), this.#options.token ?? this.#to.token);
    } catch (problem) {
      if (session !== this.session) return;
      this.#stop(translate(problem));
    }
  }

  // It does not play: for now, or for good.
  #stop(error) {
    if (this.state === 'closed') return;
    this.#drop(error.retry);
    this.error = error;
    this.#become(error.retry ? 'waiting' : 'failed');
    if (error.retry) this.#after('dial', this.#backoff(), () => this.#anew());
  }

  #drop(patient = false) {
    for (const name of [...this.#timers.keys()]) if (!patient || name !== 'give-up') this.#clear(name);
    this.#note({ type: 'bye', reason: 'it left' });
    this.#hangUp();
    this.#release();
    this.#resume = null;
    this.#owed = false;
    this.#rounds = { ours: 1, theirs: 1 };
    this.signalling = 'none';
  }

  #hangUp() {
    const socket = this.#socket;
    this.#socket = null;
    this.#clear('welcome');
    socket?.close(1000);
  }

  #release() {
    for (const name of ['offer', 'connect', 'disconnected', 'silent']) this.#clear(name);
    const { pc, session } = this;
    Object.assign(this, { pc: null, session: null });
    if (session) session.close();
    else pc?.close();
    for (const track of this.stream.getTracks()) this.stream.removeTrack(track);
  }

  #after(name, wait, act) {
    this.#clear(name);
    this.#timers.set(name, setTimeout(() => {
      this.#timers.delete(name);
      act();
    }, wait));
  }

  #clear(name) {
    clearTimeout(this.#timers.get(name));
    this.#timers.delete(name);
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
