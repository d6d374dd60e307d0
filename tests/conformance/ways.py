"""The ways to a server under test: what a client is given to come in by each, and what stands between the two.

Used by `clients` and `run`; the standard library only.
  with server(way) as server: with visited(server, way) as (given, spoiled): ...
`given` is for the client's environment, `spoiled` tells how often something was spoiled so far. MCPRING_URL says by its scheme
and path which way it is. Who has MCPRING_COMMAND starts that, and talks to its standard streams. MCPRING_CUT is there where
what is cut can be resumed.
"""

import contextlib
import json
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import fixtures_server
from cached import HERE, TOP
from proxied import Proxied

CERTS = TOP / "certs" / "generated"
# Lists have several pages.
PAGES = "mcp.page_size=10"
# Clients may come back soon, and all of them come from one address.
SETTINGS = [PAGES, "mcp.retry_interval=300ms", "limits.max_connections_per_ip=200"]

# Name: the listener, and the URL at the relay before it.
ADDRESSES = {
    "https": ("https", "https://localhost:{port}/mcp"),
    "tcp": ("tcp", "tcp://localhost:{port}"),
    "tls": ("tls", "tls://localhost:{port}"),
    "ws": ("http", "ws://localhost:{port}/mcp"),
    "wss": ("https", "wss://localhost:{port}/mcp"),
    "sse": ("http", "http://localhost:{port}/sse"),
    "https sse": ("https", "https://localhost:{port}/sse"),
}
PLAIN = {"http", "tcp"}
ALL = [*ADDRESSES, "stdio"]


class Standard:
    """A server that each client starts anew; what all of them said is in one file."""

    def __init__(self, folder):
        self.log, self.marks = folder / "log", folder / "marks"
        self.log.touch()
        self.marks.touch()
        self.lines = []

    def said(self):
        return self.log.read_text()


@contextlib.contextmanager
def standing():
    with tempfile.TemporaryDirectory() as folder:
        server = Standard(Path(folder))
        yield server
        server.lines = server.said().splitlines()


def server(way):
    """A server to be visited that way."""
    if way == "stdio":
        return standing()
    return fixtures_server.secure(*SETTINGS) if way == "https" else fixtures_server.ways(*SETTINGS)


@contextlib.contextmanager
def visited(server, way, spoil=None):
    """What a client is given, and what tells how often something was spoiled; `spoil` is what is said and what instead."""
    if way == "stdio":
        # A client that gives up a call without a word, and then leaves, has the server killed soon after it has been told to end.
        command = fixtures_server.standard(PAGES, "runtime.shutdown_grace=1s")
        # The client talks to the server itself, whose log would else be in between what the client says.
        command = ["sh", "-c", 'exec "$@" 2>>"$0"', str(server.log), *command]
        if spoil:
            command = [sys.executable, str(HERE / "piped.py"), *map(bytes.decode, spoil), str(server.marks), *command]
        yield {"MCPRING_URL": "stdio:", "MCPRING_COMMAND": json.dumps(command)}, lambda: server.marks.stat().st_size
        return
    listener, url = ADDRESSES[way]
    port = urlsplit(server.urls[listener]).port
    with Proxied(port, spoil, None if listener in PLAIN else CERTS) as relay:
        given = {"MCPRING_URL": url.format(port=relay.port), "NODE_EXTRA_CA_CERTS": str(server.ca_file)}
        given |= {"MCPRING_CA": str(server.ca_file), "MCPRING_TOKEN": server.token}
        if way == "https":
            given["MCPRING_CUT"] = str(relay.cut_port)
        if way in ("tcp", "tls"):
            given["MCPRING_COMMAND"] = json.dumps([sys.executable, str(HERE / "bridge.py"), given["MCPRING_URL"]])
        yield given, lambda: relay.spoiled
