#!/usr/bin/python3
"""rtcsink with uri=app:, whose notes the application carries: here by its own
standard input and output, one JSON object of sigmund.v1 on a line. Put a
message queue, an MQTT topic or a chat there instead.

    ./carry.py videotestsrc is-live=true ! rtcsink name=sink uri=app:
"""
import sys

import gi

gi.require_version("Gst", "1.0")
from gi.repository import GLib, Gst

Gst.init(None)
pipeline = Gst.parse_launch(" ".join(sys.argv[1:]))
sink = pipeline.get_by_name("sink")


def carry_out(sink, json):
    """The element has something to say to a far side."""
    print(json, flush=True)


def carry_in(channel, condition):
    """A far side has something to say to the element."""
    json = channel.readline()
    if json and not sink.emit("incoming-message", json):
        print("not taken:", json, file=sys.stderr)
    return bool(json)


sink.connect("outgoing-message", carry_out)
GLib.io_add_watch(GLib.IOChannel(0), GLib.PRIORITY_DEFAULT, GLib.IO_IN | GLib.IO_HUP, carry_in)
pipeline.set_state(Gst.State.PLAYING)
GLib.MainLoop().run()
