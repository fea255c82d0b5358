// What the page adds to a stream that is watched: its first frame, its numbers,
// what to say when there is no picture, and WHEP where no WebSocket gets through.
//
//   idle ── play ──▶ connecting ── first frame ──▶ playing
//                      ▲    └───── problem ─────▶ failed ──┐
//                      └─── after a while, or listed ──────┘
import { Problem, problemFrom } from './errors.js';
import { Watch, show } from './watch.js';

// Connected, and no picture for this long: time to say so.
const SILENT_S = 6;
// Between two tries for a stream that is listed, and yet is not to be had.
const REST_MS = 900;
// So often no WebSocket came about, though the list of streams could be read.
const UNREACHED = 2;

export class Player extends EventTarget {
  #video;
  #base;
  #token;
  #played = false;
  #unreached = 0;
  #whep = false;
  #ticker;
  #since = {};
  // What the list of streams says is wrong; what the picture does.
  #listed = null;
  #own = null;
  #connection = 0;
  state = 'idle';
  /** The stream that is wanted, null when none is. */
  stream = null;
  /** @type {Watch | null} */
  watch = null;
  /** @type {Problem | null} why the last try failed, until one succeeds */
  before = null;
  /** Milliseconds from asking for the stream to its first frame. */
  ttff = null;
  /** The latest numbers. */
  latest = {};

  /**
   * @param {HTMLVideoElement} video
   * @param {URL} base where the server is
   * @param {() => string} token
   */
  constructor(video, base, token) {
    super();
    this.#video = video;
    this.#base = base;
    this.#token = token;
  }

  /** Shows `stream`, leaving any other. */
  play(stream) {
    this.leave();
    this.stream = stream;
    this.#played = false;
    this.before = null;
    this.#begin();
  }

  /** Shows nothing. */
  stop() {
    this.leave();
    this.stream = null;
    this.#become('idle');
  }

  /** Tries again now, if a problem keeps the stream from playing. */
  retry() {
    if (this.state !== 'failed') return;
    this.leave();
    this.#begin();
  }

  /** @param {{name: string}[] | Problem} reading what the list of streams says now */
  heard(reading) {
    const failed = reading instanceof Problem;
    this.#listed = failed ? reading : null;
    if (failed || this.state !== 'failed') return;
    if (this.#unreached >= UNREACHED && !this.#whep) {
      this.#whep = true;
      this.retry();
      return;
    }
    const there = reading.some(({ name }) => name === this.stream);
    const rested = performance.now() - this.#since.asked > REST_MS;
    if (there && rested && this.problem?.retry === 'listed') this.retry();
  }

  /** @type {Problem | null} why the state is `failed` */
  get problem() {
    if (this.state !== 'failed') return null;
    const error = this.watch?.error;
    const own = this.#own ?? (error ? problemFrom(error, { stream: this.stream }) : null);
    // The list is read by HTTP, where a refusal has a reason.
    if (own?.cause === 'unreachable' && this.#listed) return this.#listed;
    if (own?.cause === 'missing' && this.#played) return new Problem('ended', { stream: this.stream });
    return own;
  }

  /** The kinds ('video', 'audio') of what is received. */
  get kinds() {
    return this.watch?.stream.getTracks().map(({ kind }) => kind) ?? [];
  }

  /** The page goes away. */
  leave() {
    clearInterval(this.#ticker);
    this.watch?.close();
    this.watch = null;
  }

  #begin() {
    const path = encodeURIComponent(this.stream);
    const src = this.#whep ? `whep+${new URL(`whep/${path}`, this.#base)}` : new URL(path, this.#base).href;
    const watch = new Watch(src, { token: this.#token() });
    this.watch = watch;
    this.#connection = 1;
    this.#asked();
    show(watch, this.#video, () => this.#emit());
    watch.addEventListener('state', () => watch === this.watch && this.#watched());
    watch.addEventListener('track', () => watch === this.watch && this.#emit());
    this.#ticker = setInterval(() => this.#tick(watch), 1000);
    this.#become('connecting');
  }

  #asked() {
    this.#own = null;
    this.ttff = null;
    this.latest = {};
    this.#since = { asked: performance.now() };
    const shown = () => this.#frameShown();
    this.#video.requestVideoFrameCallback?.(shown);
    this.#video.onloadeddata = shown;
  }

  #watched() {
    const { watch } = this;
    const { state, error, connections } = watch;
    if (state === 'live') this.#since.connected ??= performance.now();
    if (state === 'waiting' || state === 'failed') {
      this.#unreached += error.code === 'unreachable' ? 1 : 0;
      this.#become('failed');
      this.before = this.problem;
    } else if (state === 'connecting' && (this.state !== 'connecting' || connections > this.#connection)) {
      if (error) this.before = problemFrom(error, { stream: this.stream });
      this.#connection = connections;
      this.#asked();
      this.#become('connecting');
    } else this.#emit();
  }

  #frameShown() {
    if (this.watch?.state !== 'live' || this.state === 'playing' || !this.#video.videoWidth) return;
    this.ttff = performance.now() - this.#since.asked;
    this.#playing();
  }

  #playing() {
    this.#own = null;
    this.#played = true;
    this.#unreached = 0;
    this.before = null;
    this.#become('playing');
  }

  async #tick(watch) {
    const last = this.latest;
    const now = await watch.stats();
    if (watch !== this.watch || watch.state !== 'live') return;
    this.latest = { ...now, ttff: this.ttff };
    if (now.frames !== last.frames) this.#since.frame = now.at;
    this.dispatchEvent(new Event('stats'));
    const hasVideo = this.kinds.includes('video');
    if (this.state !== 'playing' && (hasVideo ? this.#video.videoWidth && now.frames : now.audioPackets)) this.#playing();
    if (hasVideo) this.#watchFrames(now);
  }

  /** Seconds for which the picture has been standing still; 0 while it moves. */
  get stalled() {
    const seconds = (performance.now() - this.#since.frame) / 1000;
    return this.state === 'playing' && seconds >= 3 ? Math.floor(seconds) : 0;
  }

  // It may come yet: the connection is kept.
  #watchFrames({ at, packets }) {
    const waited = (at - this.#since.connected) / 1000;
    if (this.state !== 'connecting' || waited < SILENT_S) return;
    const cause = packets ? 'undecodable' : 'silent';
    this.#own = new Problem(cause, { seconds: Math.round(waited), stream: this.stream });
    this.#become('failed');
  }

  #become(state) {
    this.state = state;
    this.#emit();
  }

  #emit() {
    this.dispatchEvent(new Event('change'));
  }
}
