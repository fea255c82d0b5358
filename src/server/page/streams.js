// The list of streams on the server, kept fresh.
import { Problem, problemOf } from './errors.js';

// A calm list is read every CALM_MS; while somebody waits for a change, every
// HURRY_MS. The server being gone counts as waiting.
const CALM_MS = 3000;
const HURRY_MS = 1000;

/** Calls back with every reading: an array of streams, or a Problem. */
export class StreamList {
  #url;
  #token;
  #report;
  #timer;
  // A reading that comes back in another turn than it left is stale.
  #turn = 0;
  #hurry = false;
  /** The last good reading, null before the first. */
  streams = null;

  constructor(url, token, report) {
    this.#url = url;
    this.#token = token;
    this.#report = report;
  }

  /** Reads now, and again and again until `stop`. */
  async start() {
    this.stop();
    const turn = this.#turn;
    const reading = await this.#read().catch((problem) => problem);
    if (this.#turn !== turn) return;
    const failed = reading instanceof Problem;
    if (!failed) this.streams = reading;
    this.#report(reading);
    // A refusal stands until the user does something about it. Whoever heard the
    // report may have asked for the next one already.
    if ((failed && !reading.retry) || this.#turn !== turn) return;
    this.#timer = setTimeout(() => this.start(), failed || this.#hurry ? HURRY_MS : CALM_MS);
  }

  /** Somebody waits for a change: read at once, and more often. */
  set hurry(now) {
    const turned = now && !this.#hurry;
    this.#hurry = now;
    if (turned && this.streams) this.start();
  }

  stop() {
    clearTimeout(this.#timer);
    this.#turn += 1;
  }

  /** What a stream is for: `publish`, `receive` or `call`; undefined if it is not listed. */
  kind(name) {
    const found = this.streams?.find((stream) => stream.name === name);
    return found && (found.kind ?? 'publish');
  }

  async #read() {
    const token = this.#token();
    const response = await fetch(this.#url, {
      headers: token ? { Authorization: `Bearer ${token}` } : {},
      cache: 'no-store',
      signal: AbortSignal.timeout(5000),
    }).catch((error) => {
      throw new Problem('unreachable', { detail: error.message });
    });
    if (!response.ok) throw await problemOf(response);
    const body = await response.json().catch(() => null);
    if (!Array.isArray(body?.streams)) throw new Problem('rejected', { status: response.status, detail: 'no list of streams' });
    return body.streams;
  }
}
