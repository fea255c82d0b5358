// Cameras, microphones and screens.
import { Problem } from './errors.js';

// What browsers say when it fails, in our words.
const BY_NAME = {
  NotAllowedError: 'denied',
  SecurityError: 'denied',
  NotFoundError: 'nodevice',
  OverconstrainedError: 'nodevice',
  NotReadableError: 'inuse',
  AbortError: 'inuse',
};

const VIDEO = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } };
const AUDIO = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };

/**
 * What of this computer is sent. Events: `change` when its tracks, or who is
 * muted, have changed; `lost` when a track has ended by itself: a device was
 * unplugged, or the browser's own button has stopped the screen.
 */
export class Devices extends EventTarget {
  /** The same object for life. */
  stream = new MediaStream();
  /** `camera`, `screen`, `microphone`, or null */
  source = null;

  /**
   * Opens a source, in place of what was open.
   * @param {'camera' | 'screen' | 'microphone'} source
   * @param {boolean} sound with the microphone, or with what the screen plays
   * @throws {Problem}
   */
  async open(source, sound = true) {
    const fresh = await acquire(source, sound);
    this.close();
    this.source = source;
    fresh.getTracks().forEach((track) => this.#take(track));
    this.#changed();
  }

  /** Ends all that is open. */
  close() {
    for (const track of this.stream.getTracks()) this.#drop(track);
    this.source = null;
    this.#changed();
  }

  /** Another camera or microphone in place of this one; its track. @throws {Problem} */
  async use(kind, deviceId) {
    const constraints = kind === 'video' ? { video: { ...VIDEO, deviceId: { exact: deviceId } } } : { audio: { ...AUDIO, deviceId: { exact: deviceId } } };
    return this.#replace(await media(constraints, kind === 'video' ? 'camera' : 'microphone'), kind);
  }

  /** The screen in place of the camera, or the other way round; its track. @throws {Problem} */
  async show(source) {
    const stream = source === 'screen' ? await screen(false) : await media({ video: VIDEO }, 'camera');
    const track = this.#replace(stream, 'video');
    this.source = source;
    this.#changed();
    return track;
  }

  has(kind) {
    return this.#of(kind) !== undefined;
  }

  isMuted(kind) {
    return this.#of(kind)?.enabled === false;
  }

  toggle(kind) {
    const track = this.#of(kind);
    if (track) track.enabled = !track.enabled;
    this.#changed();
  }

  /** The camera and microphone in use. */
  inUse(kind) {
    return this.#of(kind)?.getSettings().deviceId;
  }

  /** All that there are: `{ video: MediaDeviceInfo[], audio: … }`; names come with leave to use one. */
  async list() {
    const all = (await navigator.mediaDevices?.enumerateDevices().catch(() => [])) ?? [];
    const of = (kind) => all.filter((it) => it.kind === `${kind}input` && it.deviceId);
    return { video: of('video'), audio: of('audio') };
  }

  #of(kind) {
    return this.stream.getTracks().find((track) => track.kind === kind);
  }

  #replace(stream, kind) {
    const [track] = stream.getTracks().filter((it) => it.kind === kind);
    const before = this.#of(kind);
    track.enabled = before?.enabled ?? true;
    if (before) this.#drop(before);
    this.#take(track);
    this.#changed();
    return track;
  }

  #take(track) {
    this.stream.addTrack(track);
    track.onended = () => {
      this.#drop(track);
      this.#changed();
      this.dispatchEvent(new CustomEvent('lost', { detail: track.kind }));
    };
  }

  #drop(track) {
    track.onended = null;
    track.stop();
    this.stream.removeTrack(track);
  }

  #changed() {
    this.dispatchEvent(new Event('change'));
  }
}

async function acquire(source, sound) {
  if (source === 'screen') return screen(sound);
  if (source === 'microphone') return media({ audio: AUDIO }, 'microphone');
  if (!sound) return media({ video: VIDEO }, 'camera');
  // A computer without a microphone still has a picture to send.
  return media({ video: VIDEO, audio: AUDIO }, 'camera').catch((problem) => {
    if (problem.cause === 'nodevice') return media({ video: VIDEO }, 'camera');
    throw problem;
  });
}

function media(constraints, device) {
  if (!navigator.mediaDevices?.getUserMedia) throw new Problem(isSecureContext ? 'unsupported' : 'insecure');
  return navigator.mediaDevices.getUserMedia(constraints).catch((error) => {
    throw failure(error, device);
  });
}

async function screen(sound) {
  if (!navigator.mediaDevices?.getDisplayMedia) {
    throw isSecureContext ? new Problem('nodevice', { device: 'screen to share' }) : new Problem('insecure');
  }
  const picture = await navigator.mediaDevices.getDisplayMedia({ video: { frameRate: { ideal: 30 } }, audio: sound }).catch((error) => {
    // Whoever closes the browser's own window has changed their mind.
    throw error.name === 'NotAllowedError' ? new Problem('left') : failure(error, 'screen');
  });
  return picture;
}

const failure = (error, device) => new Problem(BY_NAME[error.name] ?? 'inuse', { device, detail: error.message });
