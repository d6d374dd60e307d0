"""A debug binary with the suite's fixtures (its assertions are on), started as server.toml, secure.toml or ways.toml says, on free ports.

Used by `suite`, `events`, `ways.py` and by clients that want the fixtures; the standard library only.
  with plain() as server:  server.url
  with secure() as server: server.url, server.ca_file, server.token
  with ways() as server:   the same, and server.urls by the name of the listener
  command = standard()     on standard streams, for whoever starts it
MCPRING_FIXTURES_BINARY names a binary to use instead of building one.
"""

import collections
import contextlib
import functools
import hashlib
import hmac
import json
import os
import secrets
import shutil
import socket
import subprocess
import threading
from pathlib import Path

from cached import CACHE, HERE, TOP, sh
from served import PATIENCE

# A file of its own, so that the binary that is built otherwise is never the one with fixtures.
BINARY = CACHE / "fixtures" / "mcpring"
KEYS = CACHE / "conformance" / "keys.toml"


def set_all(settings):
    return [part for setting in settings for part in ("--set", setting)]


def at_a_free_port(listener, *schemes):
    """The settings of a listener that admits the origins of its own address."""
    # These must be known before the start, so the port is chosen here.
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    named = json.dumps([f"{scheme}://{host}:{port}" for scheme in schemes for host in ("127.0.0.1", "localhost")])
    return [f"listeners.{listener}.address=127.0.0.1:{port}", f"listeners.{listener}.origins={named}"]


class Server:
    """A server of one configuration that accepts; `close` stops it and expects exit 0."""

    def __init__(self, binary, config, settings=()):
        command = [str(binary), "run", "--config", str(HERE / config), *set_all(settings)]
        self.ca_file = self.token = None
        self.lines = collections.deque(maxlen=100)
        self.url, self.urls = None, {}
        self.settled = threading.Event()
        # The log is on standard error, and must be read for as long as the server writes it.
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        if not self.settled.wait(PATIENCE) or not self.url:
            self.process.kill()
            raise SystemExit(f"{' '.join(command)} does not accept; it said:\n{self.said()}")

    def read(self):
        """Keeps the end of the log, and finds the address in the line that says that the server accepts."""
        for line in self.process.stderr:
            self.lines.append(line)
            if self.url is None and '"ready"' in line:
                self.urls = {one["name"]: one["url"] for one in json.loads(line)["listeners"]}
                self.url = next(iter(self.urls.values()))
                self.settled.set()
        self.settled.set()

    def said(self):
        """The end of what it wrote to its log."""
        return "".join(list(self.lines))

    def close(self):
        self.process.terminate()
        try:
            code = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = "none, it had to be killed"
        self.reader.join(PATIENCE)
        if code != 0:
            raise SystemExit(f"the server was told to stop and left with exit code {code}; it said:\n{self.said()}")


BUILDING = threading.Lock()


def build():
    """The path of the binary, built unless one is named."""
    if named := os.environ.get("MCPRING_FIXTURES_BINARY"):
        return Path(named).resolve()
    # Clients ask for it side by side.
    with BUILDING:
        return built()


@functools.cache
def built():
    sh("cargo", "build", "--locked", "--features", "fixtures", cwd=TOP)
    BINARY.parent.mkdir(parents=True, exist_ok=True)
    fresh = BINARY.with_suffix(f".{os.getpid()}")
    shutil.copy(Path(os.environ.get("CARGO_TARGET_DIR", TOP / "target")) / "debug" / "mcpring", fresh)
    # One that is being run can be replaced, not written to.
    fresh.replace(BINARY)
    return BINARY


def plain():
    """Plain HTTP on loopback, everybody may do everything."""
    return contextlib.closing(Server(build(), "server.toml", at_a_free_port("http", "http")))


@functools.cache
def credentials():
    """The token that every server of this program accepts; they share one file of keys."""
    pepper, token = secrets.token_hex(32), secrets.token_urlsafe(32)
    mac = hmac.new(pepper.encode(), token.encode(), hashlib.sha256).hexdigest()
    KEYS.parent.mkdir(parents=True, exist_ok=True)
    KEYS.write_text(f'[[keys]]\nid = "suite"\nhash = "{mac}"\nroles = ["everything"]\n')
    os.environ["MCPRING_CONFORMANCE_PEPPER"] = pepper
    sh(TOP / "scripts" / "need", "openssl")
    sh(TOP / "scripts" / "certs", stdout=subprocess.DEVNULL)
    return token


def keyed(config, settings):
    """A server with the local authority's certificates and a token."""
    token = credentials()
    server = Server(build(), config, settings)
    server.ca_file, server.token = TOP / "certs" / "generated" / "ca.crt", token
    return contextlib.closing(server)


def secure(*settings):
    """TLS and a bearer token; settings are like "mcp.page_size=10"."""
    # The suite writes origins of http, whatever the scheme of the URL it was given.
    return keyed("secure.toml", [*at_a_free_port("https", "https", "http"), *settings])


def ways(*settings):
    """Every transport that has an address."""
    return keyed("ways.toml", settings)


def standard(*settings):
    """The command of a server on the standard streams."""
    return [str(build()), "stdio", "--config", str(HERE / "stdio.toml"), *set_all(settings)]
