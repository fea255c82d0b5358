// Keeps one stream on the screen: connects, watches over it, connects again.
//
//   idle ── play ──▶ connecting ── first frame ──▶ playing
//                      ▲    └───── problem ─────▶ failed ──┐
//                      └─── after a while, or listed ──────┘
import { Problem } from './errors.js';
import { StatsReader } from './stats.js';
import { WhepSession } from './whep.js';

const BACKOFF_MS = [250, 500, 1000, 2000, 4000];
// Where "later" enters that row.
const LATER = 3;
// No path found, or no picture after the path was found, within these.
const CONNECT_MS = 12000;
const SILENT_S = 6;
// A picture that stood still this long, with nothing arriving, is a lost one.
const STALLED_S = 12;
// Between two tries for a stream that is listed, and yet is not to be had.
const REST_MS = 900;
// Nothing arrived for this long: believe the list if it says that it is over.
const QUIET_MS = 1500;

export class Player extends EventTarget {
  #video;
  #endpointOf;
  #token;
  #spare = null;
  #iceServers = [];
  #retries = 0;
  #played = false;
  #timer;
  #ticker;
  #reader;
  #since = {};
  state = 'idle';
  /** The stream that is wanted, null when none is. */
  stream = null;
  /** @type {WhepSession | null} */
  session = null;
  /** @type {Problem | null} why the state is `failed` */
  problem = null;
  /** @type {Problem | null} why the last try failed, until one succeeds */
  before = null;
  /** Milliseconds from asking for the stream to its first frame. */
  ttff = null;
  /** The latest reading of `StatsReader`. */
  latest = {};

  /**
   * @param {HTMLVideoElement} video
   * @param {(stream: string) => URL} endpointOf
   * @param {() => string} token
   */
  constructor(video, endpointOf, token) {
    super();
    this.#video = video;
    this.#endpointOf = endpointOf;
    this.#token = token;
    this.#prepare();
  }

  /** Shows `stream`, leaving any other. */
  play(stream) {
    this.#leave();
    this.stream = stream;
    this.#retries = 0;
    this.#played = false;
    this.before = null;
    this.#connect();
  }

  /** Shows nothing. */
  stop() {
    this.#leave();
    this.stream = null;
    this.#become('idle');
  }

  /** Tries again now, if a problem keeps the stream from playing. */
  retry() {
    if (this.state !== 'failed') return;
    this.#leave();
    this.#connect();
  }

  /** @param {{name: string}[] | Problem} reading what the list of streams says now */
  heard(reading) {
    const gone = reading instanceof Problem ? reading : reading.every(({ name }) => name !== this.stream) && new Problem('missing');
    if (!gone) {
      const rested = performance.now() - this.#since.asked > REST_MS;
      if (this.problem?.retry === 'listed' && rested) this.retry();
      return;
    }
    const news = this.problem?.retry && !this.#same(gone);
    if (news || this.quiet) this.#fail(gone);
  }

  // A stream that has been seen has ended; one that has not is missing.
  #same({ cause }) {
    return cause === this.problem.cause || (cause === 'missing' && this.problem.cause === 'ended');
  }

  /** The page goes away. */
  leave() {
    this.#leave();
  }

  // The next session's offer costs time; make it before it is needed.
  #prepare() {
    if (this.#spare) return;
    try {
      this.#spare = new WhepSession(this.#iceServers);
    } catch {
      this.#spare = null;
    }
  }

  async #connect() {
    this.problem = null;
    this.ttff = null;
    this.latest = {};
    this.#since = { asked: performance.now() };
    this.#reader = new StatsReader();
    this.#become('connecting');
    let session;
    try {
      session = this.#spare ?? new WhepSession(this.#iceServers);
      this.#spare = null;
      this.session = session;
      this.#watch(session);
      await session.connect(this.#endpointOf(this.stream), this.#token());
      this.#iceServers = session.iceServers;
    } catch (error) {
      if (session && session !== this.session) return;
      const problem = error instanceof Problem ? error : new Problem('answer', { detail: error.message });
      if (problem.cause === 'incompatible') problem.offered = await session.offered();
      this.#fail(problem);
    }
  }

  #watch(session) {
    const { pc } = session;
    const mine = (handler) => (event) => session === this.session && handler(event);
    const media = new MediaStream();
    this.#video.srcObject = media;
    pc.ontrack = mine(({ track }) => media.addTrack(track));
    pc.onconnectionstatechange = mine(() => this.#connectionChanged(pc.connectionState));
    const shown = mine(() => this.#frameShown());
    this.#video.requestVideoFrameCallback?.(shown);
    this.#video.onloadeddata = shown;
    this.#video.play().then(
      () => {},
      // No gesture yet: `paused` tells the page to ask for one.
      (error) => error.name === 'NotAllowedError' && this.#emit(),
    );
    this.#timer = setTimeout(mine(() => this.#connectTimeout(session)), CONNECT_MS);
    this.#ticker = setInterval(mine(() => this.#tick(session)), 1000);
  }

  #connectionChanged(state) {
    if (state === 'connected') this.#since.connected = performance.now();
    if (state === 'failed') this.#fail(new Problem(this.#since.connected ? 'lost' : 'ice'));
    if (state === 'closed') this.#fail(new Problem('lost'));
    this.#emit();
  }

  #connectTimeout(session) {
    if (!this.#since.connected) this.#fail(new Problem('ice', { detail: `after ${CONNECT_MS / 1000} s: ${session.pc.iceConnectionState}` }));
  }

  #frameShown() {
    if (this.state !== 'connecting' || !this.#video.videoWidth) return;
    this.ttff = performance.now() - this.#since.asked;
    this.#playing();
  }

  #playing() {
    this.#retries = 0;
    this.#played = true;
    this.before = null;
    this.#become('playing');
  }

  async #tick(session) {
    const last = this.latest;
    const now = await this.#reader.read(session.pc).catch(() => null);
    if (!now || session !== this.session) return;
    this.latest = { ...now, ttff: this.ttff };
    if (now.frames !== last.frames) this.#since.frame = now.at;
    if (now.packets !== last.packets) this.#since.packet = now.at;
    this.dispatchEvent(new Event('stats'));
    if (!this.#since.connected) return;
    const hasVideo = session.kinds.includes('video');
    if (!hasVideo && now.audioPackets && this.state === 'connecting') this.#playing();
    if (hasVideo) this.#watchFrames(now);
  }

  /** Does nothing arrive although it should? */
  get quiet() {
    return this.state === 'playing' && performance.now() - (this.#since.packet ?? Infinity) > QUIET_MS;
  }

  /** Seconds for which the picture has been standing still; 0 while it moves. */
  get stalled() {
    const { frame } = this.#since;
    const seconds = (performance.now() - frame) / 1000;
    return this.state === 'playing' && seconds >= 3 ? Math.floor(seconds) : 0;
  }

  #watchFrames({ at, packets }) {
    const waited = (at - Math.max(this.#since.connected, this.#since.frame ?? 0)) / 1000;
    if (this.state === 'connecting' && waited >= SILENT_S && !this.#video.videoWidth) {
      const cause = packets ? 'undecodable' : 'silent';
      this.#fail(new Problem(cause, { seconds: Math.round(waited) }));
    } else if (this.state === 'playing' && waited >= STALLED_S) {
      this.#fail(new Problem('silent', { seconds: Math.round(waited) }));
    }
  }

  #fail(problem) {
    if (problem.cause === 'missing' && this.#played) problem = new Problem('ended');
    problem.stream = this.stream;
    this.#leave();
    this.problem = problem;
    this.before = problem;
    this.#become('failed');
    this.#prepare();
    if (!problem.retry || problem.retry === 'listed') return;
    const step = this.#retries + (problem.retry === 'later' ? LATER : 0);
    const wait = BACKOFF_MS[Math.min(step, BACKOFF_MS.length - 1)];
    this.#retries += 1;
    // Spread the viewers of a server that has just come back.
    this.#timer = setTimeout(() => this.retry(), wait * (1 + Math.random() / 2));
  }

  #leave() {
    clearTimeout(this.#timer);
    clearInterval(this.#ticker);
    this.session?.close();
    this.session = null;
  }

  #become(state) {
    this.state = state;
    this.#emit();
  }

  #emit() {
    this.dispatchEvent(new Event('change'));
  }
}
