// What two peers say until media flow between them, and again when the path is
// lost: one connection after the other under the same name, counted in rounds
// (docs/sigmund-v1.md, "When the path is lost").
import { Path } from './path.js';
import { StreamError } from './problems.js';
import { allowStereo, playSoon } from './receive.js';
import { StatsReader } from './stats.js';
import { Timers } from './timers.js';

// How long an offer, or its answer, is waited for, before one more round;
// doubled each time.
const PATIENCE_MS = 5000;
const ROUNDS_UNANSWERED = 3;
// From the offer until media are there.
const CONNECT_MS = 12000;
// The most m-lines that the far side may ask for.
const PLACES = 16;
// How long an answer that must be complete waits for candidates.
const GATHER_MS = 2000;

/**
 * With one peer. Its owner has
 *   note(note)      says it to the peer
 *   iceServers()    of this moment
 *   track(event), flows()
 *   restarts(code)  the path is lost, another is looked for
 *   over(error)     it has come to nothing
 */
export class Conversation {
  #owner;
  #offers;
  #trickles;
  #local;
  #rounds = { ours: 1, theirs: 1 };
  #owed = false;
  #unanswered = 0;
  #fruitless = 0;
  #offering = false;
  #wantsOffer = false;
  #path = null;
  #timers = new Timers();
  #reader = new StatsReader();
  /** Can the far side be told anything now? */
  isHeard = true;
  /** @type {RTCPeerConnection | null} */
  pc = null;

  /**
   * @param {{offers?: boolean, trickles?: boolean, local?: MediaStream | null}} how
   *   `offers`: we do. `trickles`: candidates reach the far side later.
   *   `local`: what we send
   */
  constructor(owner, { offers = false, trickles = true, local = null } = {}) {
    this.#owner = owner;
    this.#offers = offers;
    this.#trickles = trickles;
    this.#local = local;
    this.#renew();
  }

  /** The first round begins: we offer, or wait for an offer. */
  start() {
    if (this.#offers) this.#offer();
    this.#expectWord();
  }

  /** The far side can be told again what it has missed. Of what it was told last,
   * nobody knows whether it has heard it. */
  catchUp() {
    this.isHeard = true;
    if (this.#timers.has('word')) this.#renew();
    else if (!this.#owed) return;
    this.#again();
  }

  get owes() {
    return this.#owed;
  }

  /** Numbers of this moment, see `StatsReader`. */
  stats() {
    return this.pc ? this.#reader.read(this.pc).catch(() => ({})) : Promise.resolve({});
  }

  /** ICE servers have become known, or have changed. */
  serve(iceServers) {
    if (this.pc?.signalingState === 'stable') this.pc.setConfiguration({ ...this.pc.getConfiguration(), iceServers });
  }

  async hear(note) {
    if (note.type === 'again') return this.#heardAgain(note.round);
    const { pc } = this;
    if (this.#rounds.ours !== this.#rounds.theirs || !pc) return;
    if (note.type === 'candidate') await pc.addIceCandidate(note).catch(() => {});
    if (note.type === 'please-offer' && this.#offers) {
      this.#makeRoom(pc, note.add);
      await this.#offer();
    }
    if (note.type !== (this.#offers ? 'answer' : 'offer')) return;
    this.#timers.clear('word');
    this.#unanswered = 0;
    // A source may be paused for long: no need to ask every few seconds.
    this.#path.expect(CONNECT_MS * 2 ** Math.min(this.#fruitless, 3));
    const take = this.#offers ? pc.setRemoteDescription(note) : this.#answer(pc, note.sdp);
    await take.catch((error) => {
      if (pc === this.pc) throw error;
    });
    if (pc !== this.pc) return;
    const comes = ({ currentDirection }) => currentDirection === 'sendrecv' || currentDirection === 'recvonly';
    this.#path.receives = pc.getTransceivers().some(comes);
    this.#offering = false;
    if (this.#wantsOffer) await this.#offer();
  }

  /** Sends `track`, too, which is in the local stream now. That takes another offer. */
  async bring(track) {
    const { pc } = this;
    if (!pc) return;
    const place = idle(pc, track.kind);
    if (this.#offers) {
      if (place) this.#settle(place, track);
      else pc.addTransceiver(track, { direction: 'sendrecv', streams: [this.#local] });
      await this.#offer();
    } else if (pc.remoteDescription) this.#owner.note({ type: 'please-offer', ...(!place && { add: [{ kind: track.kind }] }) });
  }

  /** Ends it, without a word. */
  close() {
    this.#timers.clearAll();
    this.#release();
  }

  // One at a time: another one follows the answer.
  async #offer() {
    const { pc } = this;
    this.#wantsOffer = this.#offering;
    if (this.#offering) return;
    this.#offering = true;
    const held = (pc.held = []);
    const { sdp } = await pc.createOffer();
    if (pc !== this.pc) return;
    const offer = { type: 'offer', sdp: allowStereo(sdp) };
    await pc.setLocalDescription(offer);
    this.#send(pc, offer, held);
  }

  async #answer(pc, offer) {
    await pc.setRemoteDescription({ type: 'offer', sdp: offer });
    this.#bringLocal(pc);
    const { sdp } = await pc.createAnswer();
    const answer = { type: 'answer', sdp: allowStereo(sdp) };
    // Its candidates come after it: they are found once it is set.
    const held = (pc.held = []);
    await pc.setLocalDescription(answer);
    if (this.#trickles) return this.#send(pc, answer, held);
    await gathered(pc);
    this.#send(pc, { type: 'answer', sdp: pc.localDescription.sdp }, []);
  }

  #send(pc, description, held) {
    if (pc !== this.pc) return;
    this.#owner.note(description);
    delete pc.held;
    held.forEach((candidate) => this.#owner.note(candidate));
  }

  // Into the places that the offer has for it.
  #bringLocal(pc) {
    for (const track of this.#local?.getTracks() ?? []) {
      if (pc.getSenders().some((sender) => sender.track === track)) continue;
      const place = idle(pc, track.kind);
      if (place) this.#settle(place, track);
    }
  }

  #settle(place, track) {
    place.direction = 'sendrecv';
    place.sender.setStreams?.(this.#local);
    place.sender.replaceTrack(track);
  }

  // For what the far side wants to send.
  #makeRoom(pc, add) {
    for (const { kind } of Array.isArray(add) ? add : []) {
      const isKind = kind === 'video' || kind === 'audio';
      if (isKind && pc.getTransceivers().length < PLACES) pc.addTransceiver(kind, { direction: 'recvonly' });
    }
  }

  #heardAgain(round) {
    const { ours, theirs } = this.#rounds;
    if (round > ours) {
      this.#rounds = { ours: round, theirs: round };
      this.#owed = false;
      this.#restart('lost');
      this.#owner.note({ type: 'again', round });
      this.start();
    } else if (round === ours && theirs < round) this.#rounds.theirs = round;
  }

  #expectWord() {
    this.#timers.after('word', PATIENCE_MS * 2 ** this.#unanswered, () => {
      this.#unanswered += 1;
      if (this.#unanswered < ROUNDS_UNANSWERED) return this.#pathLost('path');
      this.#owner.over(new StreamError('busy', this.#offers ? 'the far side does not answer' : 'the publisher makes no offer'));
    });
  }

  // Another connection under the same name, if the server still knows us.
  #pathLost(code) {
    this.#owed = true;
    this.#restart(code);
    if (this.isHeard) this.#again();
  }

  #again() {
    this.#owed = false;
    this.#rounds.ours += 1;
    this.#owner.note({ type: 'again', round: this.#rounds.ours });
    this.start();
  }

  #restart(code) {
    this.#renew();
    this.#owner.restarts(code);
  }

  #renew() {
    this.#release();
    const pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle', iceServers: this.#owner.iceServers() });
    this.pc = pc;
    this.#reader = new StatsReader();
    pc.onicecandidate = ({ candidate }) => {
      if (pc !== this.pc || !this.#trickles) return;
      const note = candidate ? { type: 'candidate', ...candidate.toJSON() } : { type: 'end-of-candidates' };
      if (pc.held) pc.held.push(note);
      else this.#owner.note(note);
    };
    if (this.#offers) this.#place(pc);
    this.#path = new Path(pc, {
      track: (event) => {
        playSoon(event.receiver);
        this.#owner.track(event);
      },
      flows: () => {
        this.#fruitless = 0;
        this.#owner.flows();
      },
      lost: (code) => {
        if (code !== 'lost') this.#fruitless += 1;
        this.#pathLost(code);
      },
    });
  }

  // Both kinds have a place, so that what is switched on later needs no other offer.
  #place(pc) {
    for (const kind of ['video', 'audio']) {
      const track = this.#local?.getTracks().find((it) => it.kind === kind);
      const streams = this.#local ? [this.#local] : [];
      pc.addTransceiver(track ?? kind, { direction: 'sendrecv', streams });
    }
  }

  #release() {
    this.#timers.clear('word');
    this.#offering = false;
    this.#wantsOffer = false;
    this.#path?.close();
    this.#path = null;
    const { pc } = this;
    this.pc = null;
    pc?.close();
  }
}

// A place where nothing of ours is.
function idle(pc, kind) {
  return pc.getTransceivers().find(({ receiver, sender, stopped }) => !stopped && receiver.track.kind === kind && !sender.track);
}

function gathered(pc) {
  if (pc.iceGatheringState === 'complete') return Promise.resolve();
  return new Promise((resolve) => {
    pc.addEventListener('icegatheringstatechange', () => pc.iceGatheringState === 'complete' && resolve());
    setTimeout(resolve, GATHER_MS);
  });
}
