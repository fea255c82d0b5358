// What a test asks inside a browser. The stamp's layout: see stamp.rs.
const lab = {
  // The first <video> of the page, wherever a component hides it.
  video(root = document) {
    const found = root.querySelector('video');
    if (found) return found;
    for (const element of root.querySelectorAll('*')) {
      const inner = element.shadowRoot && lab.video(element.shadowRoot);
      if (inner) return inner;
    }
    return null;
  },

  word(pixels, row) {
    let bits = 0;
    for (let column = 0; column < 20; column++) {
      const at = 4 * ((row * 8 + 4) * 160 + column * 8 + 4);
      bits = bits * 2 + (pixels[at + 1] > 126 ? 1 : 0);
    }
    const value = bits >> 4;
    const nibble = n => value >> (4 * n) & 15;
    const check = nibble(0) + 3 * nibble(1) + 5 * nibble(2) + 7 * nibble(3) + 9 & 15;
    return check === (bits & 15) ? value : null;
  },

  // Reads the stamp of each frame that is shown for so many seconds.
  stamps(video, seconds) {
    const canvas = document.createElement('canvas');
    canvas.width = 160;
    canvas.height = 16;
    const context = canvas.getContext('2d', { willReadFrequently: true });
    const result = { width: video.videoWidth, height: video.videoHeight, unread: 0, stamps: [] };
    return new Promise(resolve => {
      const start = performance.now();
      setTimeout(() => resolve(result), seconds * 1000 + 200);
      const read = () => {
        const now = Date.now();
        const height = video.videoHeight * 2 / 15;
        context.drawImage(video, 0, 0, video.videoWidth, height, 0, 0, 160, 16);
        const pixels = context.getImageData(0, 0, 160, 16).data;
        const [number, millis] = [lab.word(pixels, 0), lab.word(pixels, 1)];
        if (number === null || millis === null) result.unread += 1;
        else {
          const latency = (now - millis) % 65536;
          result.stamps.push({ number, latency: latency > 60000 ? latency - 65536 : latency });
        }
        if (performance.now() - start < seconds * 1000) video.requestVideoFrameCallback(read);
        else resolve(result);
      };
      video.requestVideoFrameCallback(read);
    });
  },

  // How many frames a video has shown. Firefox counts none of a stream's by
  // itself: there it is since this was asked first.
  shown(video) {
    const counted = video.getVideoPlaybackQuality().totalVideoFrames;
    if (counted === 0 && video.counted === undefined) {
      video.counted = 0;
      const count = () => { video.counted += 1; video.requestVideoFrameCallback(count); };
      video.requestVideoFrameCallback(count);
    }
    return Math.max(counted, video.counted ?? 0);
  },

  // Counts the frames that are shown for so many seconds, whatever they show.
  frames(video, seconds) {
    return new Promise(resolve => {
      let frames = 0;
      const count = () => { frames += 1; video.requestVideoFrameCallback(count); };
      video.requestVideoFrameCallback(count);
      setTimeout(() => resolve(frames), seconds * 1000);
    });
  },

  // The loudest frequency of a stream in Hz: that of a steady tone as soon as
  // there is one, else that of the loudest moment; 0 if it stays silent.
  async tone(stream, seconds) {
    const audio = new AudioContext();
    await audio.resume();
    const analyser = audio.createAnalyser();
    analyser.fftSize = 8192;
    audio.createMediaStreamSource(stream).connect(analyser);
    const levels = new Float32Array(analyser.frequencyBinCount);
    const end = performance.now() + seconds * 1000;
    let heard = 0;
    let agreed = 0;
    let best = { level: -90, pitch: 0 };
    while (performance.now() < end && agreed < 5) {
      await new Promise(resolve => setTimeout(resolve, 100));
      analyser.getFloatFrequencyData(levels);
      const loudest = levels.indexOf(Math.max(...levels));
      const pitch = levels[loudest] > -90 ? loudest * audio.sampleRate / analyser.fftSize : 0;
      if (levels[loudest] > best.level) best = { level: levels[loudest], pitch };
      agreed = pitch > 0 && Math.abs(pitch - heard) < 12 ? agreed + 1 : 0;
      heard = pitch;
    }
    await audio.close();
    return agreed < 5 ? best.pitch : heard;
  },

  // Plays a stream by WHEP without the help of any page.
  async whep(url) {
    const peer = new RTCPeerConnection();
    const video = document.createElement('video');
    video.muted = true;
    video.autoplay = true;
    video.playsInline = true;
    video.srcObject = new MediaStream();
    document.body.append(video);
    peer.ontrack = event => video.srcObject.addTrack(event.track);
    peer.addTransceiver('video', { direction: 'recvonly' });
    peer.addTransceiver('audio', { direction: 'recvonly' });
    const start = performance.now();
    const shown = new Promise(resolve => video.requestVideoFrameCallback(
      () => resolve(performance.now() - start)));
    await peer.setLocalDescription();
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/sdp' },
      body: peer.localDescription.sdp,
    });
    if (response.status !== 201) throw new Error(`${response.status}: ${await response.text()}`);
    const answered = performance.now() - start;
    await peer.setRemoteDescription({ type: 'answer', sdp: await response.text() });
    const timeout = new Promise((_, reject) => setTimeout(
      () => reject(new Error(`no frame within 15 s; ICE ${peer.iceConnectionState}, ` +
                             `DTLS ${peer.connectionState}`)), 15000));
    const first = await Promise.race([shown, timeout]);
    (window.labPeers ??= []).push(peer);
    return { answered, first };
  },

  // The same as in messages.rs.
  pattern(seed, size, text) {
    const mixed = (at) => at * 31 + (at >> 8) * 7 + seed * 17 + Math.floor(seed / 90);
    if (text) return Array.from({ length: size }, (_, at) => String.fromCharCode(32 + mixed(at) % 95)).join('');
    return Uint8Array.from({ length: size }, (_, at) => mixed(at) % 251).buffer;
  },

  same(data, seed, size, text) {
    const wanted = lab.pattern(seed, size, text);
    if (text) return data === wanted;
    // Not instanceof: scripts of a test may have an ArrayBuffer of their own.
    if (data?.byteLength !== size) return false;
    const [left, right] = [new Uint8Array(data), new Uint8Array(wanted)];
    return left.every((byte, at) => byte === right[at]);
  },

  // Joins by WHEP with a data channel and nothing else.
  async talk(url, label) {
    const peer = new RTCPeerConnection();
    const channel = peer.createDataChannel(label);
    channel.binaryType = 'arraybuffer';
    window.labTalk = { peer, channel, heard: [] };
    channel.onmessage = ({ data }) => labTalk.heard.push(data);
    const opened = new Promise((resolve, reject) => {
      channel.onopen = resolve;
      setTimeout(() => reject(new Error(`not open: ${peer.connectionState}`)), 15000);
    });
    await peer.setLocalDescription();
    await new Promise((resolve) => {
      peer.onicecandidate = ({ candidate }) => candidate ?? resolve();
      setTimeout(resolve, 1000);
    });
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/sdp' },
      body: peer.localDescription.sdp,
    });
    if (response.status !== 201) throw new Error(`${response.status}: ${await response.text()}`);
    await peer.setRemoteDescription({ type: 'answer', sdp: await response.text() });
    await opened;
    return peer.sctp.maxMessageSize;
  },
};
