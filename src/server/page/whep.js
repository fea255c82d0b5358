// A WHEP client: it offers to receive, and the answer brings the stream.
import { playSoon } from './receive.js';
import { Session } from './resource.js';

export class WhepSession extends Session {
  /** @param {RTCIceServer[]} iceServers known from an earlier answer */
  constructor(iceServers = []) {
    super(iceServers, (pc) => {
      for (const kind of ['video', 'audio']) {
        const { receiver } = pc.addTransceiver(kind, { direction: 'recvonly' });
        playSoon(receiver);
      }
    });
  }
}
