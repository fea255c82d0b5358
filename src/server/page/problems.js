// Where streams are, and what can be wrong with them.

/** What can be wrong, by code: a sentence for people, and whether it may pass. */
const PROBLEMS = {
  address: ['That is no address of a stream.', false],
  unsupported: ['This browser, or this server, cannot do that.', false],
  unauthorized: ['The token is missing or wrong.', false],
  malformed: ['The server and this page do not understand each other.', false],
  incompatible: ['This browser cannot decode what is being sent.', false],
  'gave-up': ['It took too long.', false],
  unreachable: ['The server does not answer, or does not serve pages of this origin.', true],
  'not-found': ['The stream is not on air.', true],
  taken: ['Somebody else has that place.', true],
  busy: ['The sender takes no viewer now.', true],
  'too-many': ['Too many connections come from here.', true],
  slow: ['This browser was too slow.', true],
  gone: ['The server has stopped.', true],
  failed: ['The sender failed.', true],
  ended: ['The stream has ended.', true],
  path: ['No path to the sender: a firewall or VPN may block UDP.', true],
  silent: ['Connected, but nothing arrives: the source may be stalled.', true],
  lost: ['The path to the sender was lost.', true],
};

// The same for those who send, where it reads otherwise.
const SENDING = {
  incompatible: ['The far side takes no codec that this browser sends.', false],
  'not-found': ['Nobody waits to receive it.', true],
  taken: ['Somebody else sends it now.', true],
  busy: ['The receiver takes nobody now.', true],
  failed: ['The receiver failed.', true],
  ended: ['The receiver has ended it.', true],
  path: ['No path to the receiver: a firewall or VPN may block UDP.', true],
  lost: ['The path to the receiver was lost.', true],
};

/** Why a stream does not play. `code` is for programs, `message` for people. */
export class StreamError extends Error {
  /** @param {string} detail what the far side says of it */
  constructor(code, detail = '', retry = PROBLEMS[code]?.[1] ?? true) {
    super(PROBLEMS[code]?.[0] ?? (detail || code));
    Object.assign(this, { name: 'StreamError', code, detail, retry });
  }

  /** As those read it who send. */
  get sending() {
    const [message] = SENDING[this.code] ?? [this.message];
    this.message = message;
    return this;
  }
}

/**
 * Where a stream is: `https://HOST/STREAM`, `https://HOST/#stream=STREAM`,
 * `sigmund+wss://HOST/STREAM`, `whep+https://…`, `whip+https://…`, or the same
 * without TLS. `sigmund+wss://HOST,OTHER:8443/STREAM`: servers joined as one.
 * @returns {{stream: string, token?: string, at?: {ws: string, whip: string}[], whep?: string, whip?: string}}
 *   `at`: servers of Sigmund, the first to be tried first
 */
export function parseAddress(src) {
  const [, kind, rest] = /^\s*(?:(sigmund|whep|whip)\+)?((?:https?|wss?):\/\/.*)$/i.exec(src) ?? [, , new URL(src, location.href).href];
  const [first, ...others] = rest.match(/^wss?:/i) ? severally(rest) : [rest];
  const url = new URL(first);
  const fragment = new URLSearchParams(url.hash.slice(1));
  const token = fragment.get('token') ?? undefined;
  url.hash = '';
  if (kind === 'whep' || kind === 'whip') return { [kind]: url.href, stream: lastPart(url), token };
  const stream = fragment.get('stream') ?? lastPart(url);
  if (!stream) throw new TypeError('the address names no stream');
  return { at: [url, ...others].map((it) => server(new URL(it), stream)), stream, token };
}

// The same address once for each server that its authority names.
function severally(url) {
  const [, before, hosts, after] = /^(\w+:\/\/)([^/?#]*)(.*)$/.exec(url);
  return hosts.split(',').map((host) => before + host + after);
}

function server(url, stream) {
  const isSafe = /^(https|wss):$/.test(url.protocol);
  const beside = (path, protocol) => {
    const other = new URL(url);
    other.protocol = isSafe ? `${protocol}s:` : `${protocol}:`;
    other.pathname = url.pathname.replace(/[^/]*$/, path);
    Object.assign(other, { search: '', hash: '' });
    return other.href;
  };
  return { ws: beside('ws', 'ws'), whip: beside(`whip/${encodeURIComponent(stream)}`, 'http') };
}

const lastPart = (url) => decodeURIComponent(url.pathname.split('/').pop());

// resource.js names failures in its own way.
const BY_CAUSE = {
  missing: 'not-found',
  notlive: 'busy',
  rejected: 'malformed',
  broken: 'failed',
  answer: 'malformed',
  forbidden: 'unauthorized',
  unentitled: 'unauthorized',
};

/** A failure of resource.js, as a `StreamError`. */
export function translate({ cause = 'failed', detail, message }) {
  return new StreamError(BY_CAUSE[cause] ?? cause, detail ?? message);
}
