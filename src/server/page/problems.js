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

/** Why a stream does not play. `code` is for programs, `message` for people. */
export class StreamError extends Error {
  /** @param {string} detail what the far side says of it */
  constructor(code, detail = '', retry = PROBLEMS[code]?.[1] ?? true) {
    super(PROBLEMS[code]?.[0] ?? (detail || code));
    Object.assign(this, { name: 'StreamError', code, detail, retry });
  }
}

/**
 * Where a stream is: `https://HOST/STREAM`, `https://HOST/#stream=STREAM`,
 * `sigmund+wss://HOST/STREAM`, `whep+https://…`, or the same without TLS.
 * @returns {{stream: string, token?: string, ws?: string, whep?: string}}
 */
export function parseAddress(src) {
  const [, kind, rest] = /^\s*(?:(sigmund|whep)\+)?((?:https?|wss?):\/\/.*)$/i.exec(src) ?? [, , new URL(src, location.href).href];
  const url = new URL(rest);
  const fragment = new URLSearchParams(url.hash.slice(1));
  const token = fragment.get('token') ?? undefined;
  url.hash = '';
  if (kind === 'whep') return { whep: url.href, stream: lastPart(url), token };
  const named = fragment.get('stream');
  const stream = named ?? lastPart(url);
  if (!stream) throw new TypeError('the address names no stream');
  url.protocol = /^(https|wss):$/.test(url.protocol) ? 'wss:' : 'ws:';
  url.pathname = url.pathname.replace(/[^/]*$/, 'ws');
  url.search = '';
  return { ws: url.href, stream, token };
}

const lastPart = (url) => decodeURIComponent(url.pathname.split('/').pop());

// whep.js names failures in its own way.
const BY_CAUSE = {
  missing: 'not-found',
  notlive: 'busy',
  rejected: 'malformed',
  broken: 'failed',
  answer: 'malformed',
  forbidden: 'unauthorized',
};

/** A failure of whep.js, as a `StreamError`. */
export function translate({ cause = 'failed', detail, message }) {
  return new StreamError(BY_CAUSE[cause] ?? cause, detail ?? message);
}
