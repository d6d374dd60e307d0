"""The release binary with the suite's fixtures, started as server.toml or secure.toml says, on a free port.

Used by `suite` and by clients that want the fixtures; the standard library only.
  with plain() as server:  server.url
  with secure() as server: server.url, server.ca_file, server.token
MCPRING_FIXTURES_BINARY names a binary to use instead of building one.
"""

import collections
import contextlib
import hashlib
import hmac
import json
import os
import secrets
import socket
import subprocess
import threading
from pathlib import Path

from cached import CACHE, HERE, TOP, sh
from served import PATIENCE

# Its own folder, so that the binary that ships is never the one with fixtures.
TARGET = CACHE / "fixtures-target"
KEYS = CACHE / "conformance" / "keys.toml"


class Server:
    """A server of one configuration that accepts; `close` stops it and expects exit 0."""

    def __init__(self, binary, config, listener, origins, settings=()):
        # Host and Origin that are admitted must be known before the start, so the port is chosen here.
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        named = json.dumps([f"{scheme}://{host}:{port}" for scheme in origins for host in ("127.0.0.1", "localhost")])
        command = [str(binary), "run", "--config", str(HERE / config)]
        command += ["--set", f"listeners.{listener}.address=127.0.0.1:{port}", "--set", f"listeners.{listener}.origins={named}"]
        command += [part for setting in settings for part in ("--set", setting)]
        self.ca_file = self.token = None
        self.lines = collections.deque(maxlen=100)
        self.url = None
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
                self.url = json.loads(line)["listeners"][0]["url"]
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


def build():
    """The path of the binary, built unless one is named."""
    if named := os.environ.get("MCPRING_FIXTURES_BINARY"):
        return Path(named).resolve()
    sh("cargo", "build", "--locked", "--release", "--features", "fixtures", "--target-dir", TARGET, cwd=TOP)
    return TARGET / "release" / "mcpring"


def plain():
    """Plain HTTP on loopback, everybody may do everything."""
    return contextlib.closing(Server(build(), "server.toml", "http", ["http"]))


def secure(*settings):
    """TLS and a bearer token; settings are like "mcp.page_size=10"."""
    sh(TOP / "scripts" / "need", "openssl")
    sh(TOP / "scripts" / "certs", stdout=subprocess.DEVNULL)
    pepper, token = secrets.token_hex(32), secrets.token_urlsafe(32)
    mac = hmac.new(pepper.encode(), token.encode(), hashlib.sha256).hexdigest()
    KEYS.parent.mkdir(parents=True, exist_ok=True)
    KEYS.write_text(f'[[keys]]\nid = "suite"\nhash = "{mac}"\nroles = ["everything"]\n')
    os.environ["MCPRING_CONFORMANCE_PEPPER"] = pepper
    # The suite writes origins of http, whatever the scheme of the URL it was given.
    server = Server(build(), "secure.toml", "https", ["https", "http"], settings)
    server.ca_file, server.token = TOP / "certs" / "generated" / "ca.crt", token
    return contextlib.closing(server)
