// How the page shows what it sends: to a stream that waits for it, or in a call.

const $ = (id) => document.getElementById(id);

const WORDS = {
  receive: {
    title: (stream) => `Send to “${stream}”`,
    text: 'The far side waits to receive a picture and sound. What do you want to send?',
    go: 'Go live',
    stop: 'Stop sending',
    status: { choosing: 'Ready', opening: 'Asking', ready: 'Preview', connecting: 'Connecting', playing: 'You are live', failed: 'Not live' },
  },
  call: {
    title: (stream) => `Talk on “${stream}”`,
    text: 'You see and hear each other. What does the far side get from you?',
    go: 'Join the call',
    stop: 'Hang up',
    status: { choosing: 'Ready', opening: 'Asking', ready: 'Preview', connecting: 'Connecting', alone: 'Nobody else yet', playing: 'In the call', failed: 'Not connected' },
  },
};

const BUSY = ['connecting', 'alone', 'playing'];

export class StudioView {
  #studio;
  #shown = '';

  /** @param {import('./studio.js').Studio} studio */
  constructor(studio) {
    this.#studio = studio;
    for (const button of document.querySelectorAll('[data-source]')) {
      button.addEventListener('click', () => studio.choose(button.dataset.source, $('with-sound').checked));
    }
    $('go').addEventListener('click', () => studio.go());
    $('back').addEventListener('click', () => studio.again());
    $('microphone').addEventListener('click', () => studio.devices.toggle('audio'));
    $('camera').addEventListener('click', () => studio.devices.toggle('video'));
    $('swap').addEventListener('click', () => studio.swap());
    for (const select of document.querySelectorAll('#devices select')) {
      select.addEventListener('change', () => studio.use(select.dataset.kind, select.value));
    }
    studio.devices.addEventListener('change', () => this.#list());
    navigator.mediaDevices?.addEventListener?.('devicechange', () => this.#list());
    studio.addEventListener('complaint', ({ detail }) => this.#complain(`${detail.title}. ${detail.text}`));
    // Phones cannot share their screen.
    const canShare = Boolean(navigator.mediaDevices?.getDisplayMedia) || !isSecureContext;
    document.querySelector('[data-source="screen"]').hidden = !canShare;
  }

  /** What the pill says. */
  get status() {
    const { kind, state } = this.#studio;
    return WORDS[kind].status[state];
  }

  /** @param {boolean} isOn is it this view's turn? */
  render(isOn) {
    const { state, kind, stream, devices, kinds } = this.#studio;
    const words = WORDS[kind];
    const busy = isOn && BUSY.includes(state);
    const hasPicture = devices.has('video');
    const remote = kind === 'call' && state === 'playing';
    $('choose').hidden = !isOn || (state !== 'choosing' && state !== 'opening');
    $('choose-title').textContent = words.title(stream);
    $('choose-text').textContent = state === 'opening' ? 'Your browser asks whether this page may.' : words.text;
    for (const button of document.querySelectorAll('[data-source]')) button.disabled = state === 'opening';
    $('self').hidden = !isOn || !hasPicture || state === 'choosing' || state === 'opening' || state === 'failed';
    $('voice').hidden = !isOn || (remote ? kinds.includes('video') : hasPicture || !(busy || state === 'ready'));
    $('ready').hidden = !isOn || state !== 'ready';
    $('go').textContent = words.go;
    $('alone').hidden = !isOn || state !== 'alone';
    this.#renderControls(isOn && (busy || state === 'ready'), busy);
    $('devices').hidden = !isOn || !devices.source || state === 'failed';
    const now = `${state} ${stream}`;
    if (now !== this.#shown) this.#complain('');
    this.#shown = now;
  }

  #renderControls(isOn, busy) {
    const { devices, kind } = this.#studio;
    const canSwap = Boolean(navigator.mediaDevices?.getDisplayMedia) && devices.has('video');
    const toggles = { microphone: ['audio', 'Microphone'], camera: ['video', 'Picture'] };
    for (const [id, [of, name]] of Object.entries(toggles)) {
      const muted = devices.isMuted(of);
      $(id).hidden = !isOn || !devices.has(of);
      $(id).setAttribute('aria-pressed', String(muted));
      $(id).setAttribute('aria-label', `${name} ${muted ? 'on' : 'off'}`);
    }
    const shares = devices.source === 'screen';
    $('swap').hidden = !isOn || !canSwap;
    $('swap').setAttribute('aria-pressed', String(shares));
    $('swap').setAttribute('aria-label', shares ? 'Show the camera' : 'Show the screen');
    $('swap').title = shares ? 'Show the camera' : 'Show the screen';
    if (!isOn) return;
    $('stop').hidden = !busy;
    $('stop').title = WORDS[kind].stop;
    $('stop').setAttribute('aria-label', WORDS[kind].stop);
  }

  async #list() {
    const { devices } = this.#studio;
    const all = await devices.list();
    for (const select of document.querySelectorAll('#devices select')) {
      const { kind } = select.dataset;
      const used = devices.inUse(kind);
      const options = all[kind].map(({ deviceId, label }) => new Option(label || 'Without a name', deviceId, false, deviceId === used));
      const shares = kind === 'video' && devices.source === 'screen';
      const without = shares ? 'The screen' : 'None';
      select.replaceChildren(...(devices.has(kind) && !shares ? options : [new Option(without), ...options]));
      select.disabled = !devices.has(kind) || shares || !options.length;
    }
  }

  #complain(text) {
    $('complaint').hidden = !text;
    $('complaint').textContent = text;
  }
}
