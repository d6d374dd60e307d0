"""FastMCP as a client of every feature, against a server that has the fixtures of src/tools/fixtures.

Reads MCPRING_URL, MCPRING_CA, MCPRING_TOKEN and MCPRING_CUT; the first argument is the era: legacy, modern or auto.
Exits 0 only when every answer was right.
"""

import asyncio
import os
import ssl
import sys

import mcp_types as types
from checks import MODERN, ROOTS, Told, all_features
from fastmcp import Client
from fastmcp.client.elicitation import ElicitResult
from fastmcp.client.transports import StreamableHttpTransport
from mcp.client.subscriptions import listen

MODES = {"legacy": "legacy", "modern": MODERN, "auto": "auto"}


KINDS = {
    types.ToolListChangedNotification: "ToolsListChanged",
    types.PromptListChangedNotification: "PromptsListChanged",
    types.ResourceUpdatedNotification: "ResourceUpdated",
}


class Noting(Told):
    """What the server tells and asks."""

    async def log(self, message):
        self.logs.append((message.level, message.data))

    async def message(self, message):
        if kind := KINDS.get(type(message)):
            self.notified(kind, getattr(message.params, "uri", None))

    async def sample(self, messages, params, context):
        return self.sampled([(one.role, one.content.text) for one in messages], params.max_tokens)

    async def elicit(self, message, response_type, params, context):
        content = self.form(message, params.requested_schema)
        if isinstance(content, str):
            return ElicitResult(action=content)
        return ElicitResult(action="accept", content=content)

    async def roots(self, context):
        self.asked.append("roots")
        return [types.Root(uri=uri, name=name) for uri, name in ROOTS]


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

    async def complete_prompt(self, name, argument, typed):
        asked = await self.client.complete_mcp(types.PromptReference(name=name), {"name": argument, "value": typed})
        return asked.completion

    async def complete_template(self, uri, variable, typed):
        reference = types.ResourceTemplateReference(uri=uri)
        return (await self.client.complete_mcp(reference, {"name": variable, "value": typed})).completion

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
        "elicitation_handler": told.elicit, "roots": told.roots,
    }
    async with Client(transport, mode=MODES[era], cache=False, **given) as client:
        return await all_features(Fast(client), told, era)


sys.exit(asyncio.run(main(sys.argv[1])))
