// A session of WHEP or WHIP (RFC 9725): one RTCPeerConnection, one HTTP resource.
//
// The offer is made when the object is made, so that it lies ready before the
// stream is known. It is posted without waiting for ICE; candidates follow by
// PATCH (RFC 8840 fragments, batched), and DELETE says goodbye.
import { Problem, problemOf } from './errors.js';
import { allowStereo } from './receive.js';

// Candidates found within this time (ms) of each other share one PATCH.
const BATCH_MS = 10;

export class Session {
  #offer;
  #trickle;
  #resource = null;
  #headers = {};
  #abort = new AbortController();

  /**
   * @param {RTCIceServer[]} iceServers known from an earlier answer
   * @param {(pc: RTCPeerConnection) => void} furnish adds what is offered
   */
  constructor(iceServers = [], furnish) {
    if (!globalThis.RTCPeerConnection) throw new Problem('unsupported');
    this.iceServers = iceServers;
    this.pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle', iceServers });
    furnish(this.pc);
    this.#offer = this.pc.createOffer().then(({ sdp }) => ({ type: 'offer', sdp: allowStereo(sdp) }));
    // Whoever connects sees the failure; nobody else has to.
    this.#offer.catch(() => {});
  }

  /**
   * Posts the offer. Resolves when the answer is in place.
   * @param {URL} endpoint
   * @param {string} token sent as a Bearer token, if not empty
   * @throws {Problem}
   */
  async connect(endpoint, token) {
    if (token) this.#headers.Authorization = `Bearer ${token}`;
    const offer = await this.#offer;
    this.#trickle = new Trickle(this.pc, offer.sdp, (etag, body) => this.#patch(etag, body));
    const posted = this.#post(endpoint, offer.sdp);
    // Gathering must know the ICE servers before it starts. OPTIONS tells them
    // long before the answer is ready.
    const answered = posted.then(iceServersOf);
    const servers = await Promise.race([answered, this.#askForServers(endpoint).catch(() => answered)]);
    if (servers.length && !this.iceServers.length) {
      this.iceServers = servers;
      this.pc.setConfiguration({ ...this.pc.getConfiguration(), iceServers: servers });
    }
    const [response] = await Promise.all([posted, this.pc.setLocalDescription(offer)]);
    const sdp = await response.text();
    this.#abort.signal.throwIfAborted();
    await this.pc.setRemoteDescription({ type: 'answer', sdp }).catch((error) => {
      throw new Problem('answer', { detail: error.message });
    });
    this.#trickle.open(response.headers.get('ETag'));
  }

  /** Leaves. Safe at any time, also while the page goes away. */
  close() {
    if (this.#abort.signal.aborted) return;
    this.#abort.abort();
    this.#trickle?.stop();
    this.pc.close();
    if (this.#resource) {
      fetch(this.#resource, { method: 'DELETE', headers: this.#headers, keepalive: true }).catch(() => {});
    }
  }

  async #post(endpoint, body) {
    const response = await fetch(endpoint, {
      method: 'POST',
      headers: { ...this.#headers, 'Content-Type': 'application/sdp', Accept: 'application/sdp' },
      body,
      signal: this.#abort.signal,
    }).catch((error) => {
      throw new Problem(this.#abort.signal.aborted ? 'left' : 'unreachable', { detail: error.message });
    });
    if (response.status !== 201) throw await problemOf(response);
    const location = response.headers.get('Location');
    if (!location) throw new Problem('answer', { detail: 'the 201 response has no Location' });
    this.#resource = new URL(location, endpoint);
    return response;
  }

  async #askForServers(endpoint) {
    const response = await fetch(endpoint, {
      method: 'OPTIONS',
      headers: this.#headers,
      signal: this.#abort.signal,
    });
    if (!response.ok) throw new Error(response.statusText);
    return iceServersOf(response);
  }

  #patch(etag, body) {
    return fetch(this.#resource, {
      method: 'PATCH',
      headers: { ...this.#headers, 'If-Match': etag, 'Content-Type': 'application/trickle-ice-sdpfrag' },
      body,
      signal: this.#abort.signal,
    });
  }
}

/** Collects local candidates and sends them in order, one PATCH at a time. */
class Trickle {
  #etag = null;
  #send;
  #queue = [];
  #timer = null;
  #busy = false;
  #offer;

  constructor(pc, offer, send) {
    this.#send = send;
    this.#offer = offer;
    pc.onicecandidate = ({ candidate }) => {
      // An empty candidate closes one m-line, null closes them all.
      if (candidate && !candidate.candidate) return;
      this.#queue.push(candidate);
      this.#schedule();
    };
  }

  /** The resource exists. Without an ETag the server does not trickle. */
  open(etag) {
    this.#etag = etag;
    this.#schedule();
  }

  stop() {
    this.#etag = null;
    clearTimeout(this.#timer);
  }

  #schedule() {
    if (!this.#etag || this.#busy || this.#timer || !this.#queue.length) return;
    this.#timer = setTimeout(() => this.#flush(), BATCH_MS);
  }

  async #flush() {
    this.#timer = null;
    this.#busy = true;
    const batch = this.#queue.splice(0);
    try {
      const response = await this.#send(this.#etag, fragment(this.#offer, batch));
      if (!response.ok) this.stop();
    } catch {
      // Lost candidates are no reason to stop: the far side learns our
      // addresses from our connectivity checks too.
    }
    this.#busy = false;
    this.#schedule();
  }
}

// RFC 8840 section 9: the m-lines concerned, as they stand in the offer.
function fragment(offer, batch) {
  const [session, ...media] = offer.split(/\r\n(?=m=)/);
  const first = (name, text) => text.match(new RegExp(`^a=${name}:(.+?)\\r?$`, 'm'))?.[1];
  const sections = media
    .map((text, index) => ({ text, index, own: batch.filter((c) => c?.sdpMLineIndex === index) }))
    .filter(({ index, own }) => own.length || (index === 0 && batch.includes(null)));
  const lines = sections.flatMap(({ text, own }) => [
    text.split('\r\n', 1)[0],
    `a=mid:${first('mid', text)}`,
    `a=ice-ufrag:${first('ice-ufrag', text) ?? first('ice-ufrag', session)}`,
    `a=ice-pwd:${first('ice-pwd', text) ?? first('ice-pwd', session)}`,
    ...own.map(({ candidate }) => `a=${candidate}`),
    ...(batch.includes(null) ? ['a=end-of-candidates'] : []),
  ]);
  return `${lines.join('\r\n')}\r\n`;
}

/** `Link: <turn:host>; rel="ice-server"; username="u"; credential="p"` (RFC 9725 section 4.6). */
function iceServersOf(response) {
  const link = /<([^>]+)>((?:\s*;\s*[\w-]+\s*=\s*(?:"[^"]*"|[^",;\s]+))*)/g;
  const param = /;\s*([\w-]+)\s*=\s*(?:"([^"]*)"|([^",;\s]+))/g;
  return [...(response.headers.get('Link') ?? '').matchAll(link)]
    .map(([, urls, rest]) => ({
      urls,
      ...Object.fromEntries([...rest.matchAll(param)].map(([, key, quoted, bare]) => [key, quoted ?? bare])),
    }))
    .filter(({ rel }) => rel === 'ice-server')
    .map(({ urls, username, credential }) => (username ? { urls, username, credential } : { urls }));
}
