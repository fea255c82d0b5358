// What is sent, as numbers that people understand.
import { bitsOf, codecName, deltaOf, milliseconds, pathNumbers, ratio } from './stats.js';

const LIMITS = { none: 'none', cpu: 'this computer', bandwidth: 'the network', other: 'something' };

/** Turns the reports of one sending connection into readings; rates need two of them. */
export class SendStats {
  #last = {};

  /**
   * @param {RTCPeerConnection} pc
   * @returns {Promise<object>} bitrates in bit/s, times in ms, loss in percent;
   *   undefined where the browser does not say
   */
  async read(pc) {
    const report = await pc.getStats();
    const all = [...report.values()];
    const of = (type, kind) => all.find((it) => it.type === type && it.kind === kind) ?? {};
    const [video, audio] = [of('outbound-rtp', 'video'), of('outbound-rtp', 'audio')];
    const last = this.#last;
    this.#last = { video, audio };
    const heard = of('remote-inbound-rtp', 'video').ssrc ? of('remote-inbound-rtp', 'video') : of('remote-inbound-rtp', 'audio');
    const path = pathNumbers(all, report);
    return {
      at: performance.now(),
      ...videoNumbers(video, last.video ?? {}, report),
      ...audioNumbers(audio, last.audio ?? {}, report),
      ...path,
      rtt: milliseconds(heard.roundTripTime) ?? path.rtt,
      loss: heard.fractionLost === undefined ? undefined : heard.fractionLost * 100,
      lost: heard.packetsLost,
      jitter: milliseconds(heard.jitter),
    };
  }
}

function videoNumbers(now, last, report) {
  const delta = deltaOf(now, last);
  return {
    codec: codecName(report.get(now.codecId)),
    encoder: now.encoderImplementation,
    width: now.frameWidth,
    height: now.frameHeight,
    fps: now.framesPerSecond ?? ratio(delta('framesEncoded'), delta('timestamp') / 1000),
    bitrate: bitsOf(delta, 'bytesSent'),
    target: now.targetBitrate,
    frames: now.framesEncoded ?? 0,
    keyframes: now.keyFramesEncoded,
    packets: now.packetsSent ?? 0,
    bytes: now.bytesSent ?? 0,
    limit: LIMITS[now.qualityLimitationReason],
    plis: now.pliCount,
    nacks: now.nackCount,
  };
}

function audioNumbers(now, last, report) {
  const delta = deltaOf(now, last);
  return {
    audioCodec: codecName(report.get(now.codecId)),
    audioBitrate: bitsOf(delta, 'bytesSent'),
    audioPackets: now.packetsSent ?? 0,
  };
}
