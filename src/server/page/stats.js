// RTCStatsReport in, one flat object of numbers that people understand out.

/** Turns the reports of one connection into readings; rates need two of them. */
export class StatsReader {
  #last = null;

  /**
   * @param {RTCPeerConnection} pc
   * @returns {Promise<object>} bitrates in bit/s, times in ms, loss in percent
   *   since the last reading, counters since the start; undefined where the
   *   browser does not say.
   */
  async read(pc) {
    const report = await pc.getStats();
    const all = [...report.values()];
    const inbound = (kind) => all.find((s) => s.type === 'inbound-rtp' && s.kind === kind) ?? {};
    const last = this.#last ?? {};
    const video = inbound('video');
    const audio = inbound('audio');
    this.#last = { video, audio };
    return {
      at: performance.now(),
      ...videoNumbers(video, last.video ?? {}, report),
      ...audioNumbers(audio, last.audio ?? {}, report),
      ...pathNumbers(all, report),
    };
  }
}

function videoNumbers(now, last, report) {
  const delta = deltaOf(now, last);
  return {
    codec: codecName(report.get(now.codecId)),
    decoder: now.decoderImplementation,
    width: now.frameWidth,
    height: now.frameHeight,
    fps: now.framesPerSecond ?? perSecond(delta, 'framesDecoded'),
    bitrate: bitsOf(delta, 'bytesReceived'),
    frames: now.framesDecoded ?? 0,
    keyframes: now.keyFramesDecoded,
    dropped: now.framesDropped,
    packets: now.packetsReceived ?? 0,
    bytes: now.bytesReceived ?? 0,
    lost: now.packetsLost,
    loss: lossPercent(delta),
    jitter: milliseconds(now.jitter),
    buffer: milliseconds(ratio(delta('jitterBufferDelay'), delta('jitterBufferEmittedCount'))),
    freezes: now.freezeCount,
    freezeTime: milliseconds(now.totalFreezesDuration),
    nacks: now.nackCount,
    plis: now.pliCount,
  };
}

function audioNumbers(now, last, report) {
  const delta = deltaOf(now, last);
  const concealed = ratio(delta('concealedSamples'), delta('totalSamplesReceived'));
  return {
    audioCodec: codecName(report.get(now.codecId)),
    audioBitrate: bitsOf(delta, 'bytesReceived'),
    audioPackets: now.packetsReceived ?? 0,
    audioLoss: lossPercent(delta),
    audioBuffer: milliseconds(ratio(delta('jitterBufferDelay'), delta('jitterBufferEmittedCount'))),
    audioConcealed: concealed === undefined ? undefined : concealed * 100,
  };
}

export function pathNumbers(all, report) {
  const transport = all.find((s) => s.type === 'transport');
  const pair =
    report.get(transport?.selectedCandidatePairId) ??
    all.find((s) => s.type === 'candidate-pair' && (s.selected || (s.nominated && s.state === 'succeeded'))) ??
    {};
  const local = report.get(pair.localCandidateId);
  const remote = report.get(pair.remoteCandidateId);
  return {
    rtt: milliseconds(pair.currentRoundTripTime),
    localCandidate: local?.candidateType,
    remoteCandidate: remote?.candidateType,
    protocol: local?.relayProtocol ? `relay over ${local.relayProtocol}` : local?.protocol,
  };
}

// The growth of a counter; undefined unless both readings have it.
export const deltaOf = (now, last) => (key) => (now[key] === undefined || last[key] === undefined ? undefined : now[key] - last[key]);

export const ratio = (part, whole) => (part === undefined || !whole ? undefined : part / whole);
export const milliseconds = (seconds) => (seconds === undefined ? undefined : seconds * 1000);
const perSecond = (delta, key) => ratio(delta(key), delta('timestamp') / 1000);

export function bitsOf(delta, key) {
  const bytes = perSecond(delta, key);
  return bytes === undefined ? undefined : bytes * 8;
}

function lossPercent(delta) {
  const lost = delta('packetsLost');
  const share = ratio(lost, lost + delta('packetsReceived'));
  // Late packets turn up after all: the count of lost ones can shrink.
  return share === undefined ? undefined : Math.max(0, share * 100);
}

export function codecName(codec) {
  const name = codec?.mimeType?.split('/')[1];
  const profile = codec?.sdpFmtpLine?.match(/profile-level-id=([0-9a-f]{2})/i)?.[1];
  const profiles = { 42: 'baseline', '4d': 'main', 58: 'extended', 64: 'high', f4: 'high 4:4:4' };
  const known = profiles[profile?.toLowerCase()];
  return known ? `${name} ${known}` : name;
}
