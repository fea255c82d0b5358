// A viewer of a VideoRoom, in the JSON of Janus (janus.conf.meetecho.com/docs/videoroom.html).
// Keeps at it: when Janus, or the publisher, is gone, it asks again.
const room = {
  shown: [], // when the first frame of each connection was shown, in ms since 1970
  trouble: null,

  async watch(url, number, video) {
    for (;;) {
      await this.visit(url, number, video).catch(error => { this.trouble = String(error); });
      await new Promise(done => setTimeout(done, 200));
    }
  },

  async visit(url, number, video) {
    const janus = await dial(url);
    const pc = new RTCPeerConnection();
    try {
      await janus.enter();
      const list = await janus.say({ request: 'listparticipants', room: number });
      const feed = list.plugindata.data.participants?.find(({ publisher }) => publisher)?.id;
      if (!feed) throw new Error('nobody publishes');
      pc.ontrack = ({ track }) => {
        video.srcObject = new MediaStream([track]);
        video.requestVideoFrameCallback(() => this.shown.push(Date.now()));
      };
      pc.onicecandidate = ({ candidate }) => janus.trickle(candidate ?? { completed: true });
      const joined = await janus.say({ request: 'join', ptype: 'subscriber', room: number, streams: [{ feed }] });
      await pc.setRemoteDescription(joined.jsep);
      await pc.setLocalDescription();
      await janus.say({ request: 'start' }, pc.localDescription);
      await janus.gone;
    } finally {
      janus.close();
      pc.close();
    }
  },
};

async function dial(url) {
  const socket = new WebSocket(url, 'janus-protocol');
  const names = {};
  const waiting = new Map();
  let leave;
  const gone = new Promise((_, reject) => { leave = text => reject(new Error(text)); });
  gone.catch(() => {});
  socket.onclose = () => leave('Janus is gone');
  const post = message => {
    const transaction = crypto.getRandomValues(new Uint32Array(2)).join('-');
    socket.send(JSON.stringify({ ...message, ...names, transaction }));
    return transaction;
  };
  const ask = message => Promise.race([gone, new Promise(answer => waiting.set(post(message), answer))]);
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    const said = message.plugindata?.data ?? {};
    if (message.janus === 'hangup' || said.leaving || said.unpublished) leave('the publisher is gone');
    if (message.janus === 'error' || said.error) leave(message.error?.reason ?? said.error);
    // An `ack` says that the answer follows.
    if (message.janus !== 'ack') waiting.get(message.transaction)?.(message);
  };
  await Promise.race([gone, new Promise(open => { socket.onopen = open; })]);
  const alive = setInterval(() => post({ janus: 'keepalive' }), 20000);
  return {
    gone,
    async enter() {
      names.session_id = (await ask({ janus: 'create' })).data.id;
      names.handle_id = (await ask({ janus: 'attach', plugin: 'janus.plugin.videoroom' })).data.id;
    },
    say: (body, jsep) => ask({ janus: 'message', body, ...(jsep && { jsep }) }),
    trickle: candidate => post({ janus: 'trickle', candidate }),
    close() {
      clearInterval(alive);
      socket.close();
    },
  };
}
