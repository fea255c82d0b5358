"""A WebRTC peer of another make (aiortc), to meet our elements with.

    peer.py whep URL FRAMES            watches by WHEP
    peer.py view URL STREAM FRAMES     watches by sigmund.v1; URL is ws://HOST:PORT/ws
    peer.py whip-server HOST PORT FRAMES   takes one publisher by WHIP
    peer.py whip URL SECONDS           publishes a moving picture and a tone by WHIP

The first three end with exit code 0 when FRAMES pictures, and sound, have been
decoded; all print what they counted as one line of JSON.
"""

import asyncio
import json
import sys
from urllib.parse import urljoin

import aiohttp
from aiohttp import web
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.contrib.media import MediaPlayer
from aiortc.mediastreams import MediaStreamError
from aiortc.sdp import candidate_from_sdp

PATIENCE = 30
SDP = {"Content-Type": "application/sdp"}


class Ears:
    """Counts what is decoded on each track of a connection."""

    def __init__(self, connection, frames):
        self.counts = {"video": 0, "audio": 0}
        self.enough = asyncio.Event()
        self.frames = frames
        connection.on("track", lambda track: asyncio.ensure_future(self.listen(track)))

    async def listen(self, track):
        try:
            while True:
                await track.recv()
                self.counts[track.kind] += 1
                if self.counts["video"] >= self.frames and self.counts["audio"] > 0:
                    self.enough.set()
        except MediaStreamError:
            pass


async def whep(url, frames):
    connection = RTCPeerConnection()
    ears = Ears(connection, int(frames))
    # The second picture is refused, and so is a data channel by a stream
    # without data.
    for kind in ("video", "audio", "video"):
        connection.addTransceiver(kind, direction="recvonly")
    connection.createDataChannel("chat")
    async with aiohttp.ClientSession() as http:
        resource = await offer(connection, http, url)
        await asyncio.wait_for(ears.enough.wait(), PATIENCE)
        async with http.delete(resource) as response:
            assert response.status == 200, response.status
    return ears.counts


async def offer(connection, http, url):
    """Offers by WHIP or WHEP; the address of the session."""
    await connection.setLocalDescription(await connection.createOffer())
    sdp = connection.localDescription.sdp
    async with http.post(url, data=sdp, headers=SDP) as response:
        text = await response.text()
        assert response.status == 201, f"{response.status}: {text}"
        await connection.setRemoteDescription(RTCSessionDescription(text, "answer"))
        return urljoin(url, response.headers["Location"])


async def view(url, stream, frames):
    connection = RTCPeerConnection()
    ears = Ears(connection, int(frames))
    async with aiohttp.ClientSession() as http:
        async with http.ws_connect(url, protocols=["sigmund.v1"]) as socket:
            hello = {"type": "hello", "version": "sigmund.v1", "role": "view", "stream": stream}
            video = [{"codec": "VP8"}, {"codec": "H264", "profile": "42e01f"}]
            hello["receives"] = {"video": video, "audio": [{"codec": "OPUS"}]}
            await socket.send_json(hello)
            notes = asyncio.ensure_future(take_notes(connection, socket))
            done = asyncio.ensure_future(ears.enough.wait())
            waiting = [notes, done]
            await asyncio.wait(waiting, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
            assert done.done(), f"{ears.counts}: {notes}"
            await say(socket, {"type": "bye", "reason": "seen enough"})
            notes.cancel()
    return ears.counts


async def say(socket, note):
    await socket.send_json({"type": "note", "peer": "publisher", "note": note})


async def take_notes(connection, socket):
    async for message in socket:
        message = json.loads(message.data)
        note = message.get("note", {})
        if note.get("type") == "offer":
            await connection.setRemoteDescription(RTCSessionDescription(note["sdp"], "offer"))
            await connection.setLocalDescription(await connection.createAnswer())
            await say(socket, {"type": "answer", "sdp": connection.localDescription.sdp})
        elif note.get("type") == "candidate":
            candidate = candidate_from_sdp(note["candidate"].removeprefix("candidate:"))
            candidate.sdpMid = note["sdpMid"]
            await connection.addIceCandidate(candidate)
        elif message["type"] not in ("welcome", "note"):
            raise RuntimeError(message)


async def whip_server(host, port, frames):
    connection = RTCPeerConnection()
    ears = Ears(connection, int(frames))
    left = asyncio.Event()

    async def post(request):
        await connection.setRemoteDescription(
            RTCSessionDescription(await request.text(), "offer"))
        await connection.setLocalDescription(await connection.createAnswer())
        headers = SDP | {"Location": "/session"}
        return web.Response(status=201, text=connection.localDescription.sdp, headers=headers)

    async def patch(_request):
        return web.Response(status=204)

    async def delete(_request):
        left.set()
        return web.Response()

    application = web.Application()
    application.add_routes(
        [web.post("/whip", post), web.patch("/session", patch), web.delete("/session", delete)])
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, host, int(port)).start()
    print("listening", flush=True)
    await asyncio.wait_for(ears.enough.wait(), PATIENCE)
    print("seen", flush=True)
    # The publisher says good-bye when it stops.
    await asyncio.wait_for(left.wait(), PATIENCE)
    return ears.counts


async def whip(url, seconds):
    connection = RTCPeerConnection()
    picture = MediaPlayer("testsrc=size=640x360:rate=30", format="lavfi")
    tone = MediaPlayer("sine=frequency=440:sample_rate=48000", format="lavfi")
    connection.addTrack(picture.video)
    connection.addTrack(tone.audio)
    async with aiohttp.ClientSession() as http:
        resource = await offer(connection, http, url)
        await asyncio.sleep(float(seconds))
        async with http.delete(resource) as response:
            assert response.status == 200, response.status
    return {"state": connection.connectionState}


VERBS = {"whep": whep, "view": view, "whip-server": whip_server, "whip": whip}

if __name__ == "__main__":
    print(json.dumps(asyncio.run(VERBS[sys.argv[1]](*sys.argv[2:]))), flush=True)
