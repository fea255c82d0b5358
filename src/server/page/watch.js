// Watches one stream, and keeps at it.
//
// | it has                            | for                                   |
// |-----------------------------------|---------------------------------------|
// | channel.js                        | the server, found again when lost     |
// | conversation.js                   | the far side, found again when lost   |
// | path.js                           | one connection: do media flow?        |
// | whep.js, where the address says so | both of the first two                 |
import { warmUp } from './channel.js';
import { Conversation } from './conversation.js';
import { Member } from './member.js';
import { Path } from './path.js';
import { StreamError, parseAddress, translate } from './problems.js';
import { capabilities } from './receive.js';
import { StatsReader } from './stats.js';

// From the offer until media are there, by WHEP.
const CONNECT_MS = 12000;

/** Opens the way to a server ahead of a `watch` that comes within seconds. */
export function prepare(src) {
  const { at } = parseAddress(src);
  capabilities();
  if (at) warmUp(at[0].ws);
}

/** A stream that is being watched. */
export class Watch extends Member {
  #whep = null;

  /**
   * @param {string} src see `parseAddress`
   * @param {{token?: string, iceServers?: RTCIceServer[], giveUp?: number, wait?: boolean}} options
   *   `giveUp`: after so many ms without media it is `failed`; never, if left out.
   *   `wait`: it stays with the server until somebody publishes, by WHIP perhaps
   */
  constructor(src, options = {}) {
    super(src, options);
  }

  /** @type {RTCPeerConnection | null} */
  get pc() {
    return super.pc ?? this.#whep?.session.pc ?? null;
  }

  /** Numbers of this moment, see `StatsReader` in stats.js; rates are since the last call. */
  async stats() {
    const { state, signalling, connections } = this;
    const numbers = (await this.talk?.stats()) ?? (await this.#whep?.reader.read(this.#whep.session.pc).catch(() => ({})));
    return { ...numbers, state, signalling, connections };
  }

  check({ at, whep }) {
    if (!at && !whep) throw new TypeError('that is an address to send to');
  }

  begin() {
    if (this.to.whep) this.#connectByWhep();
    else super.begin();
  }

  greeting() {
    const { wait } = this.options;
    return { role: 'view', stream: this.to.stream, receives: capabilities(), ...(wait && { wait }) };
  }

  // The answer is under way: time to get ready.
  greeted() {
    if (!this.talk && !this.options.wait) this.#meet();
  }

  #meet(how) {
    this.talk?.close();
    const { channel } = this;
    const isMine = () => talk === this.talk;
    const talk = new Conversation(
      {
        ...this.hears(isMine),
        note: (note) => channel.note(note),
        over: (error) => isMine() && this.stop(error),
      },
      how,
    );
    this.talk = talk;
    this.fresh();
  }

  welcomed({ peer, sessions }, again) {
    this.peer = peer;
    // A server that does not know of waiting has let us in because somebody is here.
    if (this.options.wait && !sessions && !this.talk) this.#meet();
    if (again) this.talk?.catchUp();
    else this.talk?.start();
  }

  heard({ type, note, info, kind, text, reason }) {
    if (type === 'note' && note.type === 'bye') return this.stop(new StreamError('ended', note.reason));
    if (type === 'note') return this.talk?.hear(note);
    if (type === 'refused') return this.stop(new StreamError(kind, text));
    if (type === 'ended') return this.stop(new StreamError('ended', reason));
    if (type === 'joined') {
      this.#meet({ trickles: info?.trickle ?? true });
      this.talk.start();
    }
    if (type === 'left') this.#alone(new StreamError('ended', reason));
  }

  // Nobody publishes now; the place is kept.
  #alone(error) {
    this.part();
    this.error = error;
    this.become('connecting');
    this.patient();
  }

  async #connectByWhep() {
    const { WhepSession } = await import('./whep.js');
    if (this.state !== 'connecting') return;
    const session = new WhepSession(this.iceServers);
    const mine = (act) => (value) => session === this.#whep?.session && act(value);
    const path = new Path(session.pc, {
      track: ({ track }) => this.gotTrack(track),
      flows: () => this.flows(),
      lost: mine((code) => this.stop(new StreamError(code))),
    });
    this.#whep = { session, path, reader: new StatsReader() };
    this.fresh();
    path.expect(CONNECT_MS);
    const connected = session.connect(new URL(this.to.whep), this.token);
    await connected.catch(mine((problem) => this.stop(translate(problem))));
  }

  release() {
    this.channel?.note({ type: 'bye', reason: 'it left' });
    super.release();
    this.#whep?.path.close();
    this.#whep?.session.close();
    this.#whep = null;
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
