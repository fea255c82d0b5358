// What can go wrong, by cause, in words for the person who watches.

/** A failure with a cause from the table below. */
export class Problem extends Error {
  /**
   * @param {string} cause a key of CAUSES
   * @param {{detail?: string, hint?: string, offered?: string, stream?: string}} more
   */
  constructor(cause, more = {}) {
    super(more.detail || cause);
    Object.assign(this, { cause, ...more });
  }

  /** When trying again may help: 'soon', 'later', 'listed' (once the stream is listed), or never. */
  get retry() {
    return CAUSES[this.cause].retry;
  }

  /** @returns {{title: string, text: string, detail: string}} */
  explain() {
    const { title, text } = CAUSES[this.cause];
    return {
      title: fill(title, this),
      text: fill(text, this),
      detail: [this.detail, this.hint].filter(Boolean).join(' — '),
    };
  }
}

const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, key) => values[key] ?? '');

const CAUSES = {
  unreachable: {
    title: 'The server does not answer',
    text: 'The program that sends has stopped, or the network in between is down. This page tries again by itself.',
    retry: 'listed',
  },
  unauthorized: {
    title: 'This server wants a token',
    text: 'Enter the token that the sender was started with. It is kept for this tab only.',
  },
  unentitled: {
    title: 'This token is for something else',
    text: 'The server knows it, but it does not allow this. Enter another one.',
  },
  forbidden: {
    title: 'The server refuses this page',
    text: 'It does not accept requests from this address. Open the very address that the sender announced.',
  },
  missing: {
    title: '“{stream}” is not on air',
    text: 'No stream of this name is being sent now. It starts here as soon as it is.',
    retry: 'listed',
  },
  incompatible: {
    title: 'No codec in common',
    text: 'This browser cannot decode what is being sent. It offered: {offered}. Try another browser, or let the sender encode one of these.',
  },
  busy: {
    title: 'The sender takes no viewer now',
    text: 'It is just starting, or it has as many viewers as it allows. This page tries again by itself.',
    retry: 'later',
  },
  notlive: {
    title: '“{stream}” is not live now',
    text: 'The sender knows this stream, but sends nothing. This page tries again by itself.',
    retry: 'later',
  },
  rejected: {
    title: 'The server rejected the request',
    text: 'This page and the server do not understand each other.',
  },
  broken: {
    title: 'The server failed',
    text: 'Something went wrong on the sending side. This page tries again by itself.',
    retry: 'later',
  },
  answer: {
    title: 'The server’s answer makes no sense',
    text: 'The browser did not accept what the server answered.',
  },
  ice: {
    title: 'No path to the sender',
    text: 'The server answers, but media does not get through. Check that no firewall or VPN blocks UDP between here and the sender; between different networks the sender needs a STUN or TURN server.',
    retry: 'later',
  },
  lost: {
    title: 'The connection was lost',
    text: 'Media stopped arriving. This page connects again by itself.',
    retry: 'soon',
  },
  silent: {
    title: 'Connected, but there is no picture',
    text: 'No video has arrived for {seconds} s. The source may be paused or stalled; look at the sender’s messages.',
    retry: 'soon',
  },
  undecodable: {
    title: 'Video arrives, but cannot be shown',
    text: 'Data has been arriving for {seconds} s, but the browser got no picture out of it: it waits for a keyframe, or it cannot decode this stream.',
    retry: 'soon',
  },
  ended: {
    title: '“{stream}” has ended',
    text: 'The sender took it off the air. It starts here again as soon as it comes back.',
    retry: 'listed',
  },
  nobody: {
    title: 'Nobody waits for “{stream}”',
    text: 'What was to receive it has stopped. This page goes on by itself as soon as it is back.',
    retry: 'later',
  },
  occupied: {
    title: 'Somebody else sends to “{stream}”',
    text: 'Only one can do that at a time. This page tries again by itself, until they have stopped.',
    retry: 'later',
  },
  engaged: {
    title: '“{stream}” is engaged',
    text: 'Two are talking already. This page tries again by itself, until they have hung up.',
    retry: 'later',
  },
  noway: {
    title: 'No path to the far side',
    text: 'The server answers, but media does not get through. Check that no firewall or VPN blocks UDP between here and the far side; between different networks it takes a STUN or TURN server.',
    retry: 'later',
  },
  cut: {
    title: 'The connection was lost',
    text: 'The far side is not heard any more. This page connects again by itself.',
    retry: 'soon',
  },
  full: {
    title: 'The far side takes nobody now',
    text: 'It is just starting, or it has too much to do. This page tries again by itself.',
    retry: 'later',
  },
  amiss: {
    title: 'The far side failed',
    text: 'Something went wrong there. This page tries again by itself.',
    retry: 'later',
  },
  untakable: {
    title: 'No codec in common',
    text: 'The receiver takes none of the codecs that this browser sends. Try another browser, or let the receiver take H.264, VP8 or Opus.',
  },
  denied: {
    title: 'The browser keeps the devices to itself',
    text: 'Allow this page to use the camera and the microphone: by the sign beside the address, or in the settings of the browser and of the system. Then try again.',
  },
  nodevice: {
    title: 'No such device here',
    text: 'This computer has no {device}, or the browser does not see it. Plug it in and try again, or choose something else to send.',
  },
  inuse: {
    title: 'The device does not start',
    text: 'Another program may be using the {device}. Close that and try again, or choose something else to send.',
  },
  insecure: {
    title: 'Cameras need a safe page',
    text: 'Browsers give cameras, microphones and screens only to pages that came by HTTPS or from this very machine. Open this page by https:// (the program that serves it needs tls-certificate and tls-key), or there by http://127.0.0.1.',
  },
  unsupported: {
    title: 'WebRTC is switched off',
    text: 'This browser has no WebRTC, or a setting or an extension disables it. Switch it on, or use another browser.',
  },
  left: { title: 'Left', text: '' },
};

const BY_STATUS = {
  401: 'unauthorized',
  403: 'forbidden',
  404: 'missing',
  406: 'incompatible',
  409: 'notlive',
  429: 'busy',
  503: 'busy',
};

// How watch.js names the same.
const BY_CODE = {
  address: 'missing',
  'not-found': 'missing',
  malformed: 'rejected',
  'gave-up': 'lost',
  taken: 'busy',
  'too-many': 'busy',
  slow: 'lost',
  gone: 'unreachable',
  failed: 'broken',
  path: 'ice',
};

// What the same codes mean to those who send, or talk.
const BOTH = { path: 'noway', lost: 'cut', silent: 'cut', slow: 'cut', busy: 'full', failed: 'amiss', 'too-many': 'full' };
const SENDING = {
  receive: { ...BOTH, 'not-found': 'nobody', ended: 'nobody', taken: 'occupied', incompatible: 'untakable' },
  call: { ...BOTH, taken: 'engaged', incompatible: 'untakable' },
};

// What the server says of a good token that is not good for this.
const UNENTITLED = /lacks|other streams/;

/** The `StreamError` of what is sent to a stream of this kind, as a problem. */
export function sendingProblem(kind, { code, detail }, more) {
  const cause = SENDING[kind]?.[code];
  return cause ? new Problem(cause, { detail, ...more }) : problemFrom({ code, detail }, more);
}

/** The `StreamError` of a stream, as a problem. */
export function problemFrom({ code, detail }, more) {
  if (code === 'unauthorized' && UNENTITLED.test(detail)) return new Problem('unentitled', { detail, ...more });
  return new Problem(BY_CODE[code] ?? (code in CAUSES ? code : 'broken'), { detail, ...more });
}

/** Reads what the server says of a request that failed. */
export async function problemOf(response) {
  const { status } = response;
  const scope = /insufficient_scope/.test(response.headers.get('WWW-Authenticate') ?? '');
  const cause = scope ? 'unentitled' : (BY_STATUS[status] ?? (status >= 500 ? 'broken' : 'rejected'));
  const body = await response.json().catch(() => ({}));
  return new Problem(cause, {
    status,
    detail: body.error ?? body.detail ?? body.title ?? `HTTP ${status} ${response.statusText}`,
    hint: body.hint,
  });
}
