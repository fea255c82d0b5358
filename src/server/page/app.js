// Ties the page together: the address bar, the list, the player, the studio, the
// buttons. What a stream is for decides which of the two shows it.
import { Console } from './console.js';
import { Panel, SENDING, WATCHING } from './panel.js';
import { Player } from './player.js';
import { Problem } from './errors.js';
import { StreamList } from './streams.js';
import { Studio } from './studio.js';
import { StudioView } from './studioview.js';
import { navigate } from './navigate.js';
import { prepare } from './watch.js';

// Everything is found beside this file, also behind a proxy's path.
const BASE = new URL('.', import.meta.url);
const TOKEN_KEY = 'sigmund.token';

const $ = (id) => document.getElementById(id);
const video = $('video');
const token = takeToken();
const player = new Player(
  video,
  BASE,
  () => token.value,
);
const studio = new Studio(video, $('self'), BASE, () => token.value);
const studioView = new StudioView(studio);
const list = new StreamList(new URL('streams', BASE), () => token.value, listed);
const panel = new Panel($('panel'));
const data = new Console($('data'));
// A stream named in the address is wanted before the list is known.
const wanted = streamInAddress();
// Until somebody chooses, a stream that is the only one plays at once.
let chosen = Boolean(wanted);
// What keeps the list from being read.
let listProblem = null;

// For tests and for the curious.
globalThis.sigmund = {
  player,
  studio,
  stats: () => shown().latest,
  play: (stream) => choose(stream),
  stop: () => stop(),
  get state() { return shown().state; },
  get problem() { return shown().problem ?? listProblem; },
  get watch() { return player.watch; },
  get channels() { return data.channels; },
  get stream() { return shown().stream; },
  get ttff() { return player.ttff; },
};

/** Who shows what is chosen. */
function shown() {
  return studio.stream ? studio : player;
}

/** The token comes from the fragment, never from the query: servers log queries. */
function takeToken() {
  const fragment = new URLSearchParams(location.hash.slice(1));
  const held = { value: fragment.get('token') ?? sessionStorage.getItem(TOKEN_KEY) ?? '' };
  if (fragment.has('token')) {
    sessionStorage.setItem(TOKEN_KEY, held.value);
    // Neither the history nor somebody's glance at the address should hold it.
    fragment.delete('token');
    history.replaceState(null, '', `${location.pathname}${location.search}${fragment.size ? `#${fragment}` : ''}`);
  }
  return held;
}

/** `#stream=NAME` */
function streamInAddress() {
  return new URLSearchParams(location.hash.slice(1)).get('stream') ?? '';
}

function choose(stream) {
  chosen = true;
  const fragment = new URLSearchParams({ stream });
  history.replaceState(null, '', `${location.pathname}${location.search}#${fragment}`);
  show(stream);
}

/** Until the list says otherwise, a stream is to be watched. */
function show(stream) {
  const kind = list.kind(stream) ?? 'publish';
  if (kind === 'publish') {
    studio.leave();
    player.play(stream);
  } else if (studio.stream !== stream || studio.kind !== kind) {
    player.stop();
    studio.open(stream, kind);
  }
}

/** The stream may be for something else than we took it for. */
function reconsider() {
  const { stream } = shown();
  const kind = stream && list.kind(stream);
  if (!kind) return;
  const taken = studio.stream ? studio.kind : 'publish';
  const isBusy = shown().state === 'playing';
  if (kind !== taken && !isBusy) show(stream);
}

function listed(reading) {
  const failed = reading instanceof Problem;
  listProblem = failed ? reading : null;
  if (!failed) reconsider();
  if (player.stream) player.heard(reading);
  else if (!failed && reading.length === 1 && !chosen && !studio.stream) show(reading[0].name);
  if (!failed) showList(reading);
  render();
}

function showList(streams) {
  const items = $('streams');
  const old = new Map([...items.children].map((item) => [item.dataset.stream, item]));
  const rows = streams.map((stream) => {
    const item = old.get(stream.name) ?? $('stream-row').content.firstElementChild.cloneNode(true);
    const { kind = 'publish' } = stream;
    Object.assign(item.dataset, { stream: stream.name, kind });
    item.querySelector('.name').textContent = stream.name;
    item.querySelector('.viewers').textContent = about(stream);
    item.querySelector('use').setAttribute('href', ICONS[kind] ?? ICONS.publish);
    return item;
  });
  // Moving a node takes the focus off it: touch only what changed.
  if (rows.some((row, index) => items.children[index] !== row) || rows.length !== items.children.length) {
    items.replaceChildren(...rows);
  }
  $('nothing').hidden = streams.length > 0;
}

// Whoever points at a stream may be about to watch it.
function ready() {
  if (player.state === 'idle' || player.state === 'failed') prepare(new URL('any', BASE));
}

const ICONS = { publish: '#i-play', receive: '#i-send', call: '#i-call' };

function about({ kind, viewers, taken }) {
  if (kind === 'receive') return taken ? 'receiving' : 'waits for you';
  if (kind === 'call') return taken ? 'engaged' : 'call';
  if (viewers === undefined) return '';
  return viewers === 1 ? '1 viewer' : `${viewers} viewers`;
}

const VIEWS = { receive: 'publish', call: 'call' };
const STATUS = { idle: 'Idle', connecting: 'Connecting', playing: 'Live', failed: 'Not playing' };

function render() {
  const inStudio = Boolean(studio.stream);
  const { state, stream, problem: own } = shown();
  const problem = own ?? (state === 'idle' ? listProblem : null);
  const now = problem ? 'failed' : state;
  const view = inStudio ? VIEWS[studio.kind] : 'watch';
  Object.assign(document.body.dataset, { view, state: now, cause: problem?.cause ?? '', stream: stream ?? '' });
  document.title = stream ? `${stream} · Sigmund` : 'Sigmund';
  $('status').textContent = (inStudio && studioView.status) || STATUS[now];
  list.hurry = now === 'failed';
  for (const item of $('streams').children) {
    item.firstElementChild.setAttribute('aria-current', String(item.dataset.stream === stream));
  }
  renderStage(state, stream, problem);
  studioView.render(inStudio);
  renderProblem(problem);
}

function renderStage(state, stream, problem) {
  const playing = state === 'playing';
  const inStudio = Boolean(studio.stream);
  const hasSound = shown().kinds.includes('audio');
  const blocked = video.paused && playing && (!inStudio || shown().kinds.length > 0);
  $('welcome').hidden = state !== 'idle' || Boolean(problem);
  $('spinner').hidden = state !== 'connecting';
  $('connecting').textContent = `Connecting to “${stream}”`;
  const before = shown().before?.explain();
  $('before').textContent = before ? `Last try: ${before.title}. ${before.text}` : '';
  $('welcome-text').textContent = list.streams?.length ? 'Choose a stream to watch' : 'Waiting for a stream';
  $('start').hidden = !blocked;
  $('unmute').hidden = !playing || !hasSound || !video.muted || blocked;
  $('stalled').hidden = !player.stalled;
  $('stalled').textContent = `No new picture for ${player.stalled} s`;
  $('controls').hidden = ['idle', 'choosing', 'opening'].includes(state) || (inStudio && state === 'failed');
  if (!inStudio) {
    $('stop').hidden = false;
    $('stop').setAttribute('aria-label', ($('stop').title = 'Stop'));
  }
  $('mute').hidden = !hasSound;
  $('mute').setAttribute('aria-pressed', String(video.muted));
  $('mute').setAttribute('aria-label', video.muted ? 'Sound on' : 'Sound off');
  $('now').textContent = stream ?? '';
}

function renderProblem(problem) {
  $('problem').hidden = !problem;
  const asks = ['unauthorized', 'unentitled'].includes(problem?.cause);
  $('ask').hidden = !asks;
  $('retry').hidden = asks || problem?.cause === 'unsupported';
  if (!problem) return;
  const { title, text, detail } = problem.explain();
  $('problem-title').textContent = title;
  $('problem-text').textContent = text;
  $('problem-detail').textContent = detail ? `The server or the browser says: ${detail}` : '';
  $('problem-detail').hidden = !detail;
}

function retry() {
  if (!shown().stream || listProblem) list.start();
  shown().retry();
}

function stop() {
  chosen = true;
  if (studio.stream) studio.stop();
  else player.stop();
}

function toggleSound() {
  video.muted = !video.muted;
  if (video.paused) video.play().catch(() => {});
}

function toggleFullscreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  else if ($('stage').requestFullscreen) $('stage').requestFullscreen();
  // iPhones show nothing but the video itself in full screen.
  else video.webkitEnterFullscreen?.();
}

$('streams').addEventListener('click', (event) => {
  const item = event.target.closest('[data-stream]');
  if (item) choose(item.dataset.stream);
});
$('ask').addEventListener('submit', (event) => {
  event.preventDefault();
  token.value = $('token').value.trim();
  $('token').value = '';
  sessionStorage.setItem(TOKEN_KEY, token.value);
  list.start();
  shown().retry();
});
for (const event of ['pointerover', 'focusin']) {
  $('streams').addEventListener(event, ready);
}
$('retry').addEventListener('click', retry);
$('unmute').addEventListener('click', toggleSound);
$('mute').addEventListener('click', toggleSound);
$('start').addEventListener('click', () => video.play().catch(() => {}));
$('stop').addEventListener('click', stop);
$('fullscreen').addEventListener('click', toggleFullscreen);
for (const event of ['volumechange', 'play', 'pause']) video.addEventListener(event, render);
document.addEventListener('keydown', (event) => {
  if (event.target.closest('input, select') || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === 'm' && shown().kinds.includes('audio')) toggleSound();
  if (event.key === 'f') toggleFullscreen();
});
addEventListener('hashchange', () => {
  const before = token.value;
  token.value = takeToken().value;
  const stream = streamInAddress();
  if (stream && (stream !== shown().stream || token.value !== before)) show(stream);
  list.start();
});
addEventListener('pagehide', () => {
  list.stop();
  player.leave();
  studio.leave();
});
addEventListener('pageshow', ({ persisted }) => {
  if (!persisted) return;
  list.start();
  if (player.stream) player.play(player.stream);
});
// The picture of a stream that asks for it takes pointer and keys.
navigate({ get: (label) => data.channels?.get(label) ?? null }, video);
player.addEventListener('change', () => {
  data.follow(player.watch);
  if (player.state === 'connecting' || (player.state === 'idle' && !studio.stream)) panel.clear(WATCHING);
  render();
});
studio.addEventListener('change', () => {
  if (studio.state !== 'playing') panel.clear(studio.stream ? SENDING : WATCHING);
  render();
});
player.addEventListener('stats', () => {
  panel.show(player.latest);
  render();
});
studio.addEventListener('stats', () => {
  panel.show(studio.latest, SENDING);
  render();
});

$('fullscreen').hidden = !(document.fullscreenEnabled || video.webkitEnterFullscreen);
if (wanted) player.play(wanted);
else ready();
list.start();
render();
