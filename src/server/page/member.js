// A client of a server of Sigmund that receives: who watches, who talks. It has
// a channel to the server and, while there is a far side, a conversation with
// it; each is mended without the other.
import { Channel } from './channel.js';
import { Persistent } from './persistent.js';
import { StreamError } from './problems.js';

/**
 * Who extends it has, besides what `Persistent` asks for,
 *   greeting()                what its hello says, apart from the token
 *   welcomed(message, again)  `again`: as who it was
 *   heard(message)            any other message, but for ICE servers
 * Events: `state` when `state`, `signalling` or `error` has changed, `track`
 * when `stream` has got one.
 */
export class Member extends Persistent {
  /** ICE servers of this moment. */
  iceServers;
  channel = null;
  talk = null;
  /** What the far side sends: the same object for life, whatever becomes of connections. */
  stream = new MediaStream();
  /** In a call: whom we talk to. Who watches: what the publisher calls us. */
  peer = null;

  constructor(src, options) {
    super(src, options);
    this.iceServers = options.iceServers ?? [];
  }

  /** `none`, `open`, `lost` (being mended), or `gone`: media go on without it */
  get signalling() {
    return this.channel?.state ?? 'none';
  }

  /** @type {RTCPeerConnection | null} */
  get pc() {
    return this.talk?.pc ?? null;
  }

  /** Opens the channel. */
  begin() {
    const mine = (act) => (...values) => channel === this.channel && act(...values);
    const channel = new Channel(this.to.at.map(({ ws }) => ws), {
      greeting: () => ({ ...this.greeting(), ...(this.token && { token: this.token }) }),
      greeted: () => this.greeted(),
      welcomed: (message, again) => {
        if (this.state === 'live') channel.settle();
        this.serve(message.iceServers);
        this.welcomed(message, again);
        this.emit('state');
      },
      heard: mine((message) => (message.type === 'ice-servers' ? this.serve(message.iceServers) : this.heard(message))),
      lost: () => this.#lost(),
      dials: () => this.state === 'waiting' && this.become('connecting'),
      forgotten: () => this.#forgotten(),
      refused: mine((error) => this.stop(error)),
    });
    this.channel = channel;
    channel.open();
  }

  /** Its hello is on its way. */
  greeted() {}

  // Those that the page names count; else the server's latest.
  serve(iceServers) {
    if (!iceServers || this.options.iceServers) return;
    this.iceServers = iceServers;
    this.talk?.serve(iceServers);
  }

  // The server is lost. Media need it no more.
  #lost() {
    if (this.talk) this.talk.isHeard = false;
    if (this.state !== 'live') {
      this.error = new StreamError('unreachable');
      this.become('waiting');
    }
    this.emit('state');
  }

  // The server does not know us any more; the far side may well.
  #forgotten() {
    if (this.talk?.owes || this.state !== 'live') return this.anew();
    this.emit('state');
  }

  /** What a conversation tells, apart from where its notes go and how it is over. */
  hears(isMine) {
    return {
      iceServers: () => this.iceServers,
      track: ({ track }) => this.gotTrack(track),
      flows: () => this.flows(),
      restarts: (code) => isMine() && this.#restarts(code),
    };
  }

  #restarts(code) {
    if (this.signalling === 'gone') return this.anew();
    this.channel.doubt();
    this.error = new StreamError(code);
    this.patient();
    this.fresh();
    this.become('connecting');
  }

  flows() {
    this.channel?.settle();
    this.lasts();
    this.works();
  }

  /** Another connection. */
  fresh() {
    this.connections += 1;
    this.clearTracks();
  }

  gotTrack(track) {
    this.stream.addTrack(track);
    this.emit('track');
  }

  clearTracks() {
    for (const track of this.stream.getTracks()) this.stream.removeTrack(track);
  }

  /** The far side is gone; the channel stays. */
  part() {
    this.talk?.close();
    this.talk = null;
    this.clearTracks();
  }

  release() {
    this.channel?.close();
    this.channel = null;
    this.part();
  }
}
