// The WebSocket to a server, mended when it is lost. docs/sigmund-v1.md says
// what passes on it.
import { StreamError } from './problems.js';
import { Backoff, Timers } from './timers.js';

const VERSION = 'sigmund.v1';
// How long the server may take to welcome us.
const WELCOME_MS = 10000;
// How long it may be silent where an answer is waited for. A WebSocket does not
// notice that this machine has got another address.
const DOUBT_MS = 1500;

const warm = new Map();

/** Opens the way to a server ahead of somebody who comes within seconds. */
export function warmUp(ws) {
  if (warm.get(ws)?.readyState <= WebSocket.OPEN) return;
  warm.set(ws, new WebSocket(ws, VERSION));
}

function dial(ws) {
  const socket = warm.get(ws);
  warm.delete(ws);
  return socket?.readyState <= WebSocket.OPEN ? socket : new WebSocket(ws, VERSION);
}

/**
 * One client of a server, or of several that are joined: where one cannot be
 * reached the next is dialled. Its owner has
 *   greeting()                what a hello says, apart from `resume`
 *   greeted()                 the hello is on its way
 *   welcomed(message, again)  `again`: as who we were
 *   heard(message)            any other message; what it returns is awaited
 *   lost(), dials()           it is lost; now it is dialled again
 *   forgotten()               the server does not know us any more
 *   refused(error)            we are turned out
 */
export class Channel {
  #servers;
  #dialled = 0;
  #owner;
  #socket = null;
  #resume = null;
  #resuming = false;
  #work = Promise.resolve();
  #timers = new Timers();
  #backoff = new Backoff();
  /** `none`, `open`, `lost` (being mended), or `gone`: the server has forgotten us */
  state = 'none';

  /** @param {string[]} servers the first is tried first */
  constructor(servers, owner) {
    this.#servers = servers;
    this.#owner = owner;
  }

  /** All is well: the next loss is the first. */
  settle() {
    this.#backoff.reset();
  }

  /** A path is lost, and this may be one, too: where nothing is heard soon it is
   * dialled again, once, without a word. */
  doubt() {
    if (this.state !== 'open') return;
    this.#timers.after('doubt', DOUBT_MS, () => {
      this.#hangUp();
      this.open();
    });
  }

  open() {
    const socket = (this.#socket = dial(this.#servers[this.#dialled % this.#servers.length]));
    const mine = (handle) => (event) => socket === this.#socket && handle(event);
    const greet = mine(() => this.#greet());
    if (socket.readyState === WebSocket.OPEN) greet();
    else socket.onopen = greet;
    socket.onmessage = mine(({ data }) => {
      this.#timers.clear('doubt');
      const take = mine(() => this.#take(JSON.parse(data)));
      const malformed = (error) => this.#owner.refused(new StreamError('malformed', error.message));
      this.#work = this.#work.then(take).catch(malformed);
    });
    socket.onclose = () => {
      // What has arrived is read first.
      this.#work = this.#work.then(mine(() => this.#redial()));
    };
    this.#timers.after('welcome', WELCOME_MS, () => this.#redial());
  }

  say(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  note(note, peer = 'publisher') {
    this.say({ type: 'note', peer, note });
  }

  /** Leaves, saying so; whoever opens it again is somebody new. */
  close() {
    this.#hangUp();
    this.#timers.clearAll();
    this.#resume = null;
    this.state = 'none';
  }

  #greet() {
    this.#resuming = Boolean(this.#resume);
    const hello = { type: 'hello', version: VERSION, ...this.#owner.greeting() };
    this.say({ ...hello, ...(this.#resume && { resume: this.#resume }) });
    this.#owner.greeted();
  }

  #take(message) {
    if (message.type === 'error') return this.#turnedOut(message);
    if (message.type !== 'welcome') return this.#owner.heard(message);
    this.#timers.clear('welcome');
    this.state = 'open';
    this.#resume = message.resume;
    return this.#owner.welcomed(message, this.#resuming);
  }

  #turnedOut({ code, text, retry }) {
    const welcomed = this.state === 'open';
    // The server stops: who comes back in time is who it was.
    if (welcomed && code === 'gone') return;
    this.#resume = null;
    if (welcomed || !this.#resuming || code !== 'gone') return this.#owner.refused(new StreamError(code, text, retry));
    this.#hangUp();
    this.state = 'gone';
    this.#owner.forgotten();
  }

  #redial() {
    this.#hangUp();
    // One that has been reached may be back at once.
    if (this.state !== 'open') this.#dialled += 1;
    this.state = 'lost';
    this.#owner.lost();
    this.#timers.after('dial', this.#backoff.next(), () => {
      this.#owner.dials?.();
      this.open();
    });
  }

  #hangUp() {
    const socket = this.#socket;
    this.#socket = null;
    this.#timers.clear('welcome', 'doubt');
    socket?.close(1000);
  }
}
