"""The standard streams of a client, joined to a server's TCP socket, so that a client of standard streams speaks TCP.

Usage: bridge.py tcp://HOST:PORT or tls://HOST:PORT; the authority is MCPRING_CA, and the first line carries MCPRING_TOKEN.
"""

import asyncio
import json
import os
import ssl
import sys
from urllib.parse import urlsplit

PIECE = 65536


async def copied(reader, write):
    while piece := await reader.read(PIECE):
        await write(piece)


async def main():
    url = urlsplit(sys.argv[1])
    trust = ssl.create_default_context(cafile=os.environ["MCPRING_CA"]) if url.scheme == "tls" else None
    reader, writer = await asyncio.open_connection(url.hostname, url.port, ssl=trust)
    stdin = asyncio.StreamReader(limit=1 << 26)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdin), sys.stdin)

    async def send(piece):
        writer.write(piece)
        await writer.drain()

    async def say(piece):
        sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()

    first = json.loads(await stdin.readline())
    meta = first.setdefault("params", {}).setdefault("_meta", {})
    meta["mcpring/authorization"] = f"Bearer {os.environ['MCPRING_TOKEN']}"
    await send(json.dumps(first).encode() + b"\n")
    # Whichever end closes first ends the other.
    both = [asyncio.create_task(copied(stdin, send)), asyncio.create_task(copied(reader, say))]
    await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)


asyncio.run(main())
