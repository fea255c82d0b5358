// How this browser receives, whoever offers.

let known;

/** The codecs that this browser decodes, best first; and it takes data channels. */
export function capabilities() {
  const list = (kind) =>
    RTCRtpReceiver.getCapabilities(kind).codecs
      .map(({ mimeType, sdpFmtpLine = '' }) => ({
        codec: mimeType.split('/')[1],
        profile: /profile-level-id=([0-9a-f]{6})/i.exec(sdpFmtpLine)?.[1],
      }))
      .slice(0, 64);
  known ??= { video: list('video'), audio: list('audio'), data: true };
  return known;
}

/** Live pictures are worth more than smooth ones: no playout delay but the needed. */
export function playSoon(receiver) {
  if ('jitterBufferTarget' in receiver) receiver.jitterBufferTarget = 0;
  else if ('playoutDelayHint' in receiver) receiver.playoutDelayHint = 0;
}

/** Chrome decodes Opus as mono unless its own description says otherwise. */
export function allowStereo(sdp) {
  const opus = sdp.match(/^a=rtpmap:(\d+) opus\/48000\/2/im)?.[1];
  const fmtp = new RegExp(`^(a=fmtp:${opus} (?!.*\\bstereo=)[^\\r\\n]*)`, 'm');
  return opus ? sdp.replace(fmtp, '$1;stereo=1') : sdp;
}
