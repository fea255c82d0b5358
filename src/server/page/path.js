// Looks after one RTCPeerConnection: is there a path, does anything pass on it?
import { Timers } from './timers.js';

// A path that browsers call "disconnected" for this long is lost.
const DISCONNECTED_MS = 2500;
// Nothing arrived for this long although the path is there.
const SILENT_MS = 12000;

/**
 * Its owner has `track(event)`, `flows()` when media do, and `lost(code)`, once:
 * `path` was never found, or `lost`, or is `silent`.
 */
export class Path {
  #pc;
  #owner;
  #receives;
  #timers = new Timers();
  #seen = {};
  #flows = false;

  /** @param {boolean} receives does anything have to arrive? Else to be connected is enough. */
  constructor(pc, owner, receives = true) {
    this.#pc = pc;
    this.#owner = owner;
    this.#receives = receives;
    pc.addEventListener('track', (event) => {
      if (this.#pc !== pc) return;
      const { track } = event;
      owner.track?.(event);
      track.addEventListener('unmute', () => this.#arrives(pc));
      if (!track.muted) this.#arrives(pc);
    });
    pc.addEventListener('connectionstatechange', () => pc === this.#pc && this.#changed(pc.connectionState));
    if (receives) this.#timers.after('silent', 1000, () => this.#listen());
  }

  /** Whether anything has to arrive may change in the middle. */
  set receives(receives) {
    if (receives === this.#receives || !this.#pc) return;
    this.#receives = receives;
    this.#seen = {};
    if (receives) this.#timers.after('silent', 1000, () => this.#listen());
    else if (this.#pc.connectionState === 'connected') this.#flow();
  }

  get flows() {
    return this.#flows;
  }

  /** From now on media must flow within so many ms. */
  expect(wait) {
    if (this.#flows) return;
    this.#timers.after('connect', wait, () => this.#fail(this.#pc.connectionState === 'connected' ? 'silent' : 'path'));
  }

  /** The owner has enough of it. */
  close() {
    this.#timers.clearAll();
    this.#pc = null;
  }

  #changed(state) {
    this.#timers.clear('disconnected');
    if (state === 'connected' && !this.#receives) this.#flow();
    if (state === 'failed') this.#fail(this.#flows ? 'lost' : 'path');
    // One that the far side has closed: whether for good, it may be about to say.
    if (state === 'disconnected' || state === 'closed') this.#timers.after('disconnected', DISCONNECTED_MS, () => this.#fail('lost'));
  }

  #arrives(pc) {
    if (pc === this.#pc && this.#receives) this.#flow();
  }

  #flow() {
    this.#timers.clear('connect');
    this.#flows = true;
    this.#owner.flows();
  }

  // Does anything arrive? Looked after once a second.
  async #listen() {
    const pc = this.#pc;
    const reports = await pc.getStats().catch(() => []);
    if (!pc || pc !== this.#pc || !this.#receives) return;
    let bytes = 0;
    reports.forEach?.((it) => it.type === 'inbound-rtp' && (bytes += it.bytesReceived ?? 0));
    const now = performance.now();
    if (bytes !== this.#seen.bytes || !this.#flows) this.#seen = { bytes, at: now };
    if (now - this.#seen.at > SILENT_MS) return this.#fail('silent');
    this.#timers.after('silent', 1000, () => this.#listen());
  }

  #fail(code) {
    this.close();
    this.#owner.lost(code);
  }
}
