"""A small server from the official Python SDK with the demo tools, over TLS with a bearer token.

Never the server under test: the clients are tried on it first, so that a client which can not fail is noticed.
Usage: reference.py CERT KEY TOKEN [--wrong WHAT]; prints one JSON line with its URL when it is ready.
WHAT spoils one thing: echo, time, done, progress, list, accept.
"""

import argparse
import asyncio
import json
import signal
import socket
import sys
from datetime import UTC, datetime, timedelta

import uvicorn
from mcp.server.mcpserver import Context, MCPServer

parser = argparse.ArgumentParser()
parser.add_argument("cert")
parser.add_argument("key")
parser.add_argument("token")
parser.add_argument("--wrong", default="nothing")
options = parser.parse_args()
wrong = options.wrong
server = MCPServer("reference")


def echo(message: str) -> str:
    return message.upper() if wrong == "echo" else message


def anything(message: str = "") -> str:
    return message


server.add_tool(anything if wrong == "accept" else echo, name="echo", description="Its argument.", structured_output=False)


@server.tool(description="The time.", structured_output=False)
def time() -> str:
    now = datetime.now(UTC) - timedelta(hours=1 if wrong == "time" else 0)
    return now.isoformat().replace("+00:00", "Z")


@server.tool(name="count" if wrong == "list" else "countdown", description="Takes long.", structured_output=False)
async def countdown(steps: int, interval_ms: int, ctx: Context) -> str:
    for step in range(1, steps + 1):
        await asyncio.sleep(interval_ms / 1000)
        if not (wrong == "progress" and step == 2):
            await ctx.report_progress(step, steps)
    return "almost" if wrong == "done" else "done"


async def guarded(scope, receive, send):
    """The application behind the token."""
    given = dict(scope.get("headers", [])).get(b"authorization")
    if scope["type"] == "http" and given != f"Bearer {options.token}".encode():
        await send({"type": "http.response.start", "status": 401, "headers": [(b"www-authenticate", b"Bearer")]})
        await send({"type": "http.response.body"})
        return
    await application(scope, receive, send)


async def main():
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    print(json.dumps({"event": "ready", "url": f"https://localhost:{port}/mcp"}), flush=True)
    config = uvicorn.Config(guarded, ssl_certfile=options.cert, ssl_keyfile=options.key, log_level="warning")
    await uvicorn.Server(config).serve(sockets=[listener])


# uvicorn ends by raising the signal that stopped it once more.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
application = server.streamable_http_app()
asyncio.run(main())
