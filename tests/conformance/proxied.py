"""A relay to a server under test that cuts what is open when something connects to its second port, and can spoil answers.

Used by the real clients' checks; the standard library only. As a rule it relays bytes and ends no TLS. A relay that spoils
replaces bytes by as many others in what the server says, so lengths stay true; with certificates it speaks TLS on both sides.
  with Proxied(port) as relay: relay.port, relay.cut_port
  with Proxied(port, spoil=(b"Hello", b"Hullo"), certificates=folder) as relay: ...
"""

import asyncio
import contextlib
import ssl
import threading


class Proxied:
    """Runs in a thread of its own for as long as the `with` block."""

    def __init__(self, port, spoil=None, certificates=None):
        self.target, self.spoil = port, spoil
        self.inside = self.outside = None
        assert not spoil or len(spoil[0]) == len(spoil[1]), f"{spoil} changes a length"
        if spoil and certificates:
            self.outside = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.outside.load_cert_chain(certificates / "localhost.crt", certificates / "localhost.key")
            self.inside = ssl.create_default_context(cafile=certificates / "ca.crt")
        self.open, self.spoiled = set(), 0

    def __enter__(self):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.listeners = asyncio.run_coroutine_threadsafe(self.listen(), self.loop).result(10)
        self.port, self.cut_port = (listener.sockets[0].getsockname()[1] for listener in self.listeners)
        return self

    def __exit__(self, *_):
        asyncio.run_coroutine_threadsafe(self.leave(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()

    async def listen(self):
        return [
            await asyncio.start_server(self.relay, "127.0.0.1", 0, ssl=self.outside),
            await asyncio.start_server(self.cut, "127.0.0.1", 0),
        ]

    async def leave(self):
        for listener in self.listeners:
            listener.close()
        self.drop()
        waiting = asyncio.all_tasks() - {asyncio.current_task()}
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    async def relay(self, reader, writer):
        named = "localhost" if self.inside else None
        # The end of the relay cancels this, of which the library would complain.
        with contextlib.suppress(OSError, asyncio.CancelledError):
            to_server = await asyncio.open_connection("127.0.0.1", self.target, ssl=self.inside, server_hostname=named)
            ends = {writer, to_server[1]}
            self.open |= ends
            await asyncio.gather(self.copy(reader, to_server[1], None), self.copy(to_server[0], writer, self.spoil))
            self.open -= ends
        writer.close()

    async def copy(self, reader, writer, spoil):
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                if spoil:
                    self.spoiled += data.count(spoil[0])
                    data = data.replace(*spoil)
                writer.write(data)
                await writer.drain()
        writer.close()

    async def cut(self, _, writer):
        self.drop()
        writer.close()

    def drop(self):
        """Ends what is open without a word of farewell, as a network that fails does."""
        for writer in self.open:
            writer.transport.abort()
        self.open.clear()
