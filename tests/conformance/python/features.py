"""The official Python SDK 2 as a client of every feature, against a server that has the conformance suite's fixtures.

Reads MCPRING_URL, MCPRING_CA, MCPRING_TOKEN and MCPRING_CUT; the first argument is the era: legacy, modern or auto.
Exits 0 only when every answer was right.
"""

import asyncio
import os
import ssl
import sys

import httpx2
import mcp_types as types
from checks import MODERN, Told, all_features
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

MODES = {"legacy": "legacy", "modern": MODERN, "auto": "auto"}


class Noting(Told):
    """What the server tells and asks."""

    async def log(self, params):
        self.logs.append(params.data)

    async def message(self, message):
        if isinstance(message, types.ToolListChangedNotification):
            self.tools_changed.set()

    async def sample(self, context, params):
        said = types.TextContent(text=f"sampled for {params.messages[0].content.text}")
        return types.CreateMessageResult(role="assistant", content=said, model="a-model", stop_reason="endTurn")

    async def elicit(self, context, params):
        content = {name: f"Ada's {name}" for name in params.requested_schema["properties"]}
        return types.ElicitResult(action="accept", content=content)

    async def roots(self, context):
        return types.ListRootsResult(roots=[types.Root(uri="file:///ada/root", name="Ada's root")])


class Completing(Client):
    """The SDK's client, with completion of prompts by name."""

    async def complete(self, prompt, argument):
        return (await super().complete(types.PromptReference(name=prompt), argument)).completion.values


async def main(era):
    trust = ssl.create_default_context(cafile=os.environ["MCPRING_CA"])
    headers = {"Authorization": f"Bearer {os.environ['MCPRING_TOKEN']}"}
    told = Noting()
    async with httpx2.AsyncClient(verify=trust, headers=headers, timeout=30) as http:
        transport = streamable_http_client(os.environ["MCPRING_URL"], http_client=http)
        given = {
            "logging_callback": told.log, "message_handler": told.message, "sampling_callback": told.sample,
            "elicitation_callback": told.elicit, "list_roots_callback": told.roots, "log_level": "debug",
        }
        async with Completing(transport, mode=MODES[era], cache=None, **given) as client:
            return await all_features(client, told, era)


sys.exit(asyncio.run(main(sys.argv[1])))
