"""FastMCP as a client of every feature, against a server that has the conformance suite's fixtures.

Reads MCPRING_URL, MCPRING_CA, MCPRING_TOKEN and MCPRING_CUT; the first argument is the era: legacy, modern or auto.
Exits 0 only when every answer was right.
"""

import asyncio
import os
import ssl
import sys

import mcp_types as types
from checks import MODERN, Told, all_features
from fastmcp import Client
from fastmcp.client.elicitation import ElicitResult
from fastmcp.client.transports import StreamableHttpTransport
from mcp.client.subscriptions import listen

MODES = {"legacy": "legacy", "modern": MODERN, "auto": "auto"}


class Noting(Told):
    """What the server tells and asks."""

    async def log(self, message):
        self.logs.append(message.data)

    async def message(self, message):
        if isinstance(message, types.ToolListChangedNotification):
            self.tools_changed.set()

    async def sample(self, messages, params, context):
        return f"sampled for {messages[0].content.text}"

    async def elicit(self, message, response_type, params, context):
        content = {name: f"Ada's {name}" for name in params.requested_schema["properties"]}
        return ElicitResult(action="accept", content=content)


class Fast:
    """FastMCP's client with the names and plain answers of SDK 2."""

    def __init__(self, client):
        self.client, self.protocol_version = client, client.protocol_version

    def listen(self, **wanted):
        return listen(self.client.session, **wanted)

    async def call_tool(self, name, arguments=None, progress_callback=None):
        # The level that a modern client wants logs from goes with each call.
        meta = {"io.modelcontextprotocol/logLevel": "debug"} if self.protocol_version >= MODERN else None
        return await self.client.call_tool_mcp(name, arguments or {}, progress_handler=progress_callback, meta=meta)

    async def complete(self, prompt, argument):
        return (await self.client.complete_mcp(types.PromptReference(name=prompt), argument)).completion.values

    async def set_logging_level(self, level):
        await self.client.set_logging_level(level)

    async def subscribe_resource(self, uri):
        await self.client.session.subscribe_resource(uri)

    async def unsubscribe_resource(self, uri):
        await self.client.session.unsubscribe_resource(uri)

    def __getattr__(self, name):
        return getattr(self.client, f"{name}_mcp")


async def main(era):
    trust = ssl.create_default_context(cafile=os.environ["MCPRING_CA"])
    headers = {"Authorization": f"Bearer {os.environ['MCPRING_TOKEN']}"}
    told = Noting()
    transport = StreamableHttpTransport(os.environ["MCPRING_URL"], headers=headers, verify=trust)
    given = {
        "log_handler": told.log, "message_handler": told.message, "sampling_handler": told.sample,
        "elicitation_handler": told.elicit, "roots": ["file:///ada/root"],
    }
    async with Client(transport, mode=MODES[era], cache=False, **given) as client:
        return await all_features(Fast(client), told, era)


sys.exit(asyncio.run(main(sys.argv[1])))
