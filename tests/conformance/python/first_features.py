"""The official Python SDK 1 as a client of every feature, against a server that has the conformance suite's fixtures.

Reads MCPRING_URL, MCPRING_CA, MCPRING_TOKEN and MCPRING_CUT; the first argument is the era, which is legacy.
Exits 0 only when every answer was right.
"""

import asyncio
import os
import re
import ssl
import sys

import httpx
from checks import Told, all_features
from mcp import ClientSession, types
from mcp.client.streamable_http import streamable_http_client


class Noting(Told):
    """What the server tells and asks."""

    async def log(self, params):
        self.logs.append(params.data)

    async def message(self, message):
        if isinstance(message, types.ServerNotification) and isinstance(message.root, types.ToolListChangedNotification):
            self.tools_changed.set()

    async def sample(self, context, params):
        said = types.TextContent(type="text", text=f"sampled for {params.messages[0].content.text}")
        return types.CreateMessageResult(role="assistant", content=said, model="a-model", stopReason="endTurn")

    async def elicit(self, context, params):
        content = {name: f"Ada's {name}" for name in params.requestedSchema["properties"]}
        return types.ElicitResult(action="accept", content=content)

    async def roots(self, context):
        return types.ListRootsResult(roots=[types.Root(uri="file:///ada/root", name="Ada's root")])


class Snake:
    """An answer of SDK 1 whose fields go by the names of SDK 2."""

    def __init__(self, told):
        self.told = told

    def __getattr__(self, name):
        value = getattr(self.told, re.sub("_(.)", lambda found: found[1].upper(), name))
        if isinstance(value, list):
            return [Snake(one) if isinstance(one, types.BaseModel) else one for one in value]
        return Snake(value) if isinstance(value, types.BaseModel) else value


class Session:
    """A session of SDK 1 with the methods of SDK 2's client."""

    def __init__(self, session, version):
        self.session, self.protocol_version = session, version

    async def complete(self, prompt, argument):
        reference = types.PromptReference(type="ref/prompt", name=prompt)
        return (await self.session.complete(reference, argument)).completion.values

    def __getattr__(self, name):
        async def ask(*given, cursor=None, **more):
            # SDK 1 takes a cursor as page parameters only.
            if cursor is not None:
                more["params"] = types.PaginatedRequestParams(cursor=cursor)
            return Snake(await getattr(self.session, name)(*given, **more))

        return ask


async def main(era):
    trust = ssl.create_default_context(cafile=os.environ["MCPRING_CA"])
    headers = {"Authorization": f"Bearer {os.environ['MCPRING_TOKEN']}"}
    told = Noting()
    given = {
        "logging_callback": told.log, "message_handler": told.message, "sampling_callback": told.sample,
        "elicitation_callback": told.elicit, "list_roots_callback": told.roots,
    }
    async with (
        httpx.AsyncClient(verify=trust, headers=headers, timeout=30) as http,
        streamable_http_client(os.environ["MCPRING_URL"], http_client=http) as (reading, writing, _),
        ClientSession(reading, writing, **given) as session,
    ):
        version = (await session.initialize()).protocolVersion
        return await all_features(Session(session, version), told, era)


sys.exit(asyncio.run(main(sys.argv[1])))
