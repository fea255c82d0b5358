// Talks to one far side: sends and receives, and keeps at it. To the states of
// all (persistent.js) it adds one: `alone` with the server, until somebody comes.
//
// Who is the first at a call hosts it and offers; the next is its guest
// (docs/sigmund-v1.md, "Calls").
import { Conversation } from './conversation.js';
import { Member } from './member.js';
import { StreamError } from './problems.js';
import { capabilities } from './receive.js';
import { SendStats } from './sendstats.js';

/** A call. As a guest, `peer` is `publisher`. */
export class Call extends Member {
  #hosts = false;
  #mark;
  #sent = new SendStats();
  #sentBy = null;
  /** What we send: the tracks of this moment. @type {MediaStream} */
  local;

  /**
   * @param {string} src see `parseAddress`
   * @param {MediaStream} local its tracks stay the caller's: close() does not end them
   * @param {{token?: string, iceServers?: RTCIceServer[], giveUp?: number}} options
   */
  constructor(src, local, options = {}) {
    super(src, options);
    this.local = local;
  }

  /** Sends `track` in place of the one of its kind, without a new connection. */
  async replace(track) {
    const before = this.local.getTracks().find(({ kind }) => kind === track.kind);
    if (before) this.local.removeTrack(before);
    this.local.addTrack(track);
    const takes = ({ sender, receiver, direction }) =>
      receiver.track.kind === track.kind && direction !== 'recvonly' && direction !== 'inactive' && (sender.track === (before ?? null));
    const place = this.pc?.getTransceivers().find(takes);
    if (place) await place.sender.replaceTrack(track);
    else await this.talk?.bring(track);
  }

  /** Sends `track` besides those of before, on the connection that there is. */
  async add(track) {
    this.local.addTrack(track);
    await this.talk?.bring(track);
  }

  /** Numbers of what arrives (see `StatsReader`), with what is sent as `sent` (`SendStats`). */
  async stats() {
    const { state, signalling, connections, pc } = this;
    if (this.#sentBy !== pc) this.#sent = new SendStats();
    this.#sentBy = pc;
    const numbers = await this.talk?.stats();
    const sent = pc ? await this.#sent.read(pc).catch(() => ({})) : {};
    return { ...numbers, sent, state, signalling, connections };
  }

  check({ at }) {
    if (!at) throw new TypeError('a call is at a server of Sigmund');
  }

  greeting() {
    const who = { role: 'call', stream: this.to.stream, receives: capabilities() };
    const guest = this.talk && this.#mark && { sessions: [{ peer: this.peer, mark: this.#mark }] };
    return { ...who, ...(this.#hosts && { host: true, ...guest }) };
  }

  welcomed({ host = false, sessions }, again) {
    const hosted = this.#hosts;
    this.#hosts = host;
    if (again) {
      this.talk?.catchUp();
      // Who left meanwhile is not in the list; a server that was killed has none.
      if (hosted && sessions && this.talk && !sessions.includes(this.peer)) this.#alone();
      if (hosted && !this.talk && this.state !== 'alone') this.become('alone');
    } else if (host) this.become('alone');
    else this.#meet('publisher', { offers: false });
  }

  heard({ type, peer, note, info = {}, kind, text, reason }) {
    if (type === 'refused') return this.stop(new StreamError(kind, text));
    if (type === 'ended') return this.#ended(reason);
    if (type === 'joined') {
      this.#mark = info.mark;
      return this.#meet(peer, { offers: !info.offers, trickles: info.trickle ?? true });
    }
    if (peer !== this.peer) return;
    if (type === 'left') return this.#alone();
    if (type !== 'note') return;
    if (note.type !== 'bye') return this.talk?.hear(note);
    if (this.#hosts) this.#alone();
    else this.#ended(note.reason);
  }

  // As a guest: the host is gone, and we may be the next.
  #ended(reason) {
    const error = new StreamError('ended', reason);
    // One that ends us at once would do so again.
    if (this.state !== 'live') return this.stop(error);
    this.error = error;
    this.anew();
  }

  #meet(peer, how) {
    this.talk?.close();
    this.peer = peer;
    const { channel } = this;
    const isMine = () => talk === this.talk;
    const talk = new Conversation(
      {
        ...this.hears(isMine),
        note: (note) => channel.note(note, peer),
        over: (error) => isMine() && this.#over(error),
      },
      { ...how, local: this.local },
    );
    this.talk = talk;
    this.fresh();
    if (this.state !== 'connecting') this.become('connecting');
    talk.start();
  }

  // Nobody is here now but us.
  #alone() {
    this.part();
    this.peer = null;
    this.#mark = undefined;
    this.become('alone');
  }

  #over(error) {
    if (!this.#hosts) return this.stop(error);
    this.channel.say({ type: 'end', peer: this.peer, reason: error.detail });
    this.#alone();
  }

  release() {
    if (this.talk && !this.#hosts) this.channel?.note({ type: 'bye', reason: 'it left' });
    super.release();
    this.#hosts = false;
    this.#mark = undefined;
    this.peer = null;
  }
}
