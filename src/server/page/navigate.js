// Tells the far side what is done at the picture, where it asks for that
// (`navigation=true`): pointer, keys and touch, as docs/data.md has them.
import { NAVIGATION } from './channels.js';

// With so much on its way (bytes), movements are left out: later ones follow.
const BEHIND = 16 * 1024;

// Keys by the names that X gives them, where browsers have other ones.
const KEYS = {
  ' ': 'space', Enter: 'Return', Backspace: 'BackSpace', ArrowLeft: 'Left', ArrowRight: 'Right', ArrowUp: 'Up', ArrowDown: 'Down',
  PageUp: 'Page_Up', PageDown: 'Page_Down', Shift: 'Shift_L', Control: 'Control_L', Alt: 'Alt_L', Meta: 'Super_L', CapsLock: 'Caps_Lock',
};

// Where it is in the picture, from 0 to 1, whatever bars are around it.
function place(video, { clientX, clientY }) {
  const box = video.getBoundingClientRect();
  const scale = Math.min(box.width / video.videoWidth, box.height / video.videoHeight);
  const part = (at, start, length, pixels) => (at - start - (length - pixels * scale) / 2) / (pixels * scale);
  const x = part(clientX, box.left, box.width, video.videoWidth);
  const y = part(clientY, box.top, box.height, video.videoHeight);
  return x >= 0 && x <= 1 && y >= 0 && y <= 1 ? { x, y } : null;
}

/**
 * Captures what is done at `video`. Keys count while it has the focus.
 * @param {import('./channels.js').Channels} channels
 * @param {HTMLVideoElement} video
 * @returns {() => void} ends it
 */
export function navigate(channels, video) {
  const ending = new AbortController();
  const on = (event, act) => video.addEventListener(event, act, { signal: ending.signal, passive: false });
  const say = (message) => {
    const channel = channels.get(NAVIGATION);
    channel?.send(JSON.stringify(message));
    return Boolean(channel);
  };
  const at = (event, name, more = {}) => {
    const where = place(video, event);
    if (where && say({ event: name, ...where, ...more })) event.preventDefault();
  };
  const isTouch = ({ pointerType }) => pointerType === 'touch';
  const finger = ({ pointerId }) => ({ id: pointerId });
  const pointers = {
    pointerdown: (event) => (isTouch(event) ? at(event, 'touch-down', finger(event)) : at(event, 'mouse-button-press', { button: event.button + 1 })),
    pointerup: (event) => (isTouch(event) ? at(event, 'touch-up', finger(event)) : at(event, 'mouse-button-release', { button: event.button + 1 })),
    pointermove: (event) => {
      if (channels.get(NAVIGATION)?.bufferedAmount > BEHIND) return;
      if (isTouch(event)) at(event, 'touch-motion', finger(event));
      else at(event, 'mouse-move');
    },
    wheel: (event) => at(event, 'mouse-scroll', { dx: event.deltaX, dy: event.deltaY }),
  };
  for (const [event, act] of Object.entries(pointers)) on(event, act);
  on('pointerdown', () => video.focus());
  for (const [event, name] of [['keydown', 'key-press'], ['keyup', 'key-release']]) {
    on(event, (pressed) => {
      if (say({ event: name, key: KEYS[pressed.key] ?? pressed.key }) && pressed.key !== 'Tab') pressed.preventDefault();
    });
  }
  if (video.tabIndex < 0) video.tabIndex = 0;
  return () => ending.abort();
}
