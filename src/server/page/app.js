// Ties the page together: the address bar, the list, the player, the buttons.
import { Console } from './console.js';
import { Panel } from './panel.js';
import { Player } from './player.js';
import { Problem } from './errors.js';
import { StreamList } from './streams.js';
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
  stats: () => player.latest,
  play: (stream) => player.play(stream),
  stop: () => player.stop(),
  get state() { return player.state; },
  get problem() { return player.problem ?? listProblem; },
  get watch() { return player.watch; },
  get channels() { return data.channels; },
  get stream() { return player.stream; },
  get ttff() { return player.ttff; },
};

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
  player.play(stream);
}

function listed(reading) {
  const failed = reading instanceof Problem;
  listProblem = failed ? reading : null;
  if (player.stream) player.heard(reading);
  else if (!failed && reading.length === 1 && !chosen) player.play(reading[0].name);
  if (!failed) showList(reading);
  render();
}

function showList(streams) {
  const items = $('streams');
  const old = new Map([...items.children].map((item) => [item.dataset.stream, item]));
  const rows = streams.map((stream) => {
    const item = old.get(stream.name) ?? $('stream-row').content.firstElementChild.cloneNode(true);
    item.dataset.stream = stream.name;
    item.querySelector('.name').textContent = stream.name;
    item.querySelector('.viewers').textContent = watching(stream.viewers);
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

function watching(viewers) {
  if (viewers === undefined) return '';
  return viewers === 1 ? '1 viewer' : `${viewers} viewers`;
}

const STATUS = { idle: 'Idle', connecting: 'Connecting', playing: 'Live', failed: 'Not playing' };

function render() {
  const { state, stream } = player;
  const problem = player.problem ?? (state === 'idle' ? listProblem : null);
  const shown = problem ? 'failed' : state;
  Object.assign(document.body.dataset, { state: shown, cause: problem?.cause ?? '', stream: stream ?? '' });
  document.title = stream ? `${stream} · Sigmund` : 'Sigmund';
  $('status').textContent = STATUS[shown];
  list.hurry = shown === 'failed';
  for (const item of $('streams').children) {
    item.firstElementChild.setAttribute('aria-current', String(item.dataset.stream === stream));
  }
  renderStage(state, stream, problem);
  renderProblem(problem);
}

function renderStage(state, stream, problem) {
  const playing = state === 'playing';
  const hasSound = player.kinds.includes('audio');
  const blocked = video.paused && playing;
  $('welcome').hidden = state !== 'idle' || Boolean(problem);
  $('spinner').hidden = state !== 'connecting';
  $('connecting').textContent = `Connecting to “${stream}”`;
  const before = player.before?.explain();
  $('before').textContent = before ? `Last try: ${before.title}. ${before.text}` : '';
  $('welcome-text').textContent = list.streams?.length ? 'Choose a stream to watch' : 'Waiting for a stream';
  $('start').hidden = !blocked;
  $('unmute').hidden = !playing || !hasSound || !video.muted || blocked;
  $('stalled').hidden = !player.stalled;
  $('stalled').textContent = `No new picture for ${player.stalled} s`;
  $('controls').hidden = state === 'idle';
  $('mute').hidden = !hasSound;
  $('mute').setAttribute('aria-pressed', String(video.muted));
  $('mute').setAttribute('aria-label', video.muted ? 'Sound on' : 'Sound off');
  $('now').textContent = stream ?? '';
}

function renderProblem(problem) {
  $('problem').hidden = !problem;
  $('ask').hidden = problem?.cause !== 'unauthorized';
  $('retry').hidden = problem?.cause === 'unauthorized' || problem?.cause === 'unsupported';
  if (!problem) return;
  const { title, text, detail } = problem.explain();
  $('problem-title').textContent = title;
  $('problem-text').textContent = text;
  $('problem-detail').textContent = detail ? `The server or the browser says: ${detail}` : '';
  $('problem-detail').hidden = !detail;
}

function retry() {
  if (!player.stream || listProblem) list.start();
  player.retry();
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
  player.retry();
});
for (const event of ['pointerover', 'focusin']) {
  $('streams').addEventListener(event, ready);
}
$('retry').addEventListener('click', retry);
$('unmute').addEventListener('click', toggleSound);
$('mute').addEventListener('click', toggleSound);
$('start').addEventListener('click', () => video.play().catch(() => {}));
$('stop').addEventListener('click', () => {
  chosen = true;
  player.stop();
});
$('fullscreen').addEventListener('click', toggleFullscreen);
for (const event of ['volumechange', 'play', 'pause']) video.addEventListener(event, render);
document.addEventListener('keydown', (event) => {
  if (event.target.closest('input') || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === 'm' && player.state === 'playing') toggleSound();
  if (event.key === 'f') toggleFullscreen();
});
addEventListener('hashchange', () => {
  const before = token.value;
  token.value = takeToken().value;
  const stream = streamInAddress();
  if (stream && (stream !== player.stream || token.value !== before)) player.play(stream);
  list.start();
});
addEventListener('pagehide', () => {
  list.stop();
  player.leave();
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
  if (player.state === 'connecting' || player.state === 'idle') panel.clear();
  render();
});
player.addEventListener('stats', () => {
  panel.show(player.latest);
  render();
});

$('fullscreen').hidden = !(document.fullscreenEnabled || video.webkitEnterFullscreen);
if (wanted) player.play(wanted);
else ready();
list.start();
render();
