"""The official Python SDK 1 as a client of every feature, against a server that has the fixtures of src/tools/fixtures.

Reads MCPRING_URL, whose scheme and path tell the transport, MCPRING_CA, MCPRING_TOKEN and MCPRING_CUT, or MCPRING_COMMAND to talk
to the standard streams of that; the first argument is the era, which is legacy. Exits 0 only when every answer was right.
"""

import asyncio
import contextlib
import functools
import json
import os
import re
import ssl
import sys

import httpx
from checks import ROOTS, Told, all_features
from mcp import ClientSession, StdioServerParameters, stdio_client, types
from mcp.client import websocket
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client


KINDS = {
    types.ToolListChangedNotification: "ToolsListChanged",
    types.PromptListChangedNotification: "PromptsListChanged",
    types.ResourceUpdatedNotification: "ResourceUpdated",
}


class Noting(Told):
    """What the server tells and asks."""

    async def log(self, params):
        self.logs.append((params.level, params.data))

    async def message(self, message):
        if isinstance(message, types.ServerNotification) and (kind := KINDS.get(type(message.root))):
            uri = getattr(message.root.params, "uri", None)
            self.notified(kind, uri and str(uri))

    async def sample(self, context, params):
        said = self.sampled([(one.role, one.content.text) for one in params.messages], params.maxTokens)
        content = types.TextContent(type="text", text=said)
        return types.CreateMessageResult(role="assistant", content=content, model="a-model", stopReason="endTurn")

    async def elicit(self, context, params):
        content = self.form(params.message, params.requestedSchema)
        if isinstance(content, str):
            return types.ElicitResult(action=content)
        return types.ElicitResult(action="accept", content=content)

    async def roots(self, context):
        self.asked.append("roots")
        return types.ListRootsResult(roots=[types.Root(uri=uri, name=name) for uri, name in ROOTS])


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

    async def complete_prompt(self, name, argument, typed):
        reference = types.PromptReference(type="ref/prompt", name=name)
        return Snake(await self.session.complete(reference, {"name": argument, "value": typed})).completion

    async def complete_template(self, uri, variable, typed):
        reference = types.ResourceTemplateReference(type="ref/resource", uri=uri)
        return Snake(await self.session.complete(reference, {"name": variable, "value": typed})).completion

    def __getattr__(self, name):
        async def ask(*given, cursor=None, **more):
            # SDK 1 takes a cursor as page parameters only.
            if cursor is not None:
                more["params"] = types.PaginatedRequestParams(cursor=cursor)
            return Snake(await getattr(self.session, name)(*given, **more))

        return ask


@contextlib.asynccontextmanager
async def reached():
    """The two ends of the transport by which the server is reached."""
    url = os.environ["MCPRING_URL"]
    if command := os.environ.get("MCPRING_COMMAND"):
        program, *arguments = json.loads(command)
        async with stdio_client(StdioServerParameters(command=program, args=arguments, env=dict(os.environ))) as ends:
            yield ends
        return
    trust = ssl.create_default_context(cafile=os.environ["MCPRING_CA"])
    headers = {"Authorization": f"Bearer {os.environ['MCPRING_TOKEN']}"}
    if url.startswith("ws"):
        # The client of the SDK has no place for either.
        given = {"additional_headers": headers} | ({"ssl": trust} if url.startswith("wss:") else {})
        websocket.ws_connect = functools.partial(websocket.ws_connect, **given)
        async with websocket.websocket_client(url) as ends:
            yield ends
    elif url.endswith("/sse"):

        def trusting(headers=None, timeout=None, auth=None):
            return httpx.AsyncClient(verify=trust, headers=headers, timeout=timeout, auth=auth)

        async with sse_client(url, headers=headers, httpx_client_factory=trusting) as ends:
            yield ends
    else:
        async with (
            httpx.AsyncClient(verify=trust, headers=headers, timeout=30) as http,
            streamable_http_client(url, http_client=http) as (reading, writing, _),
        ):
            yield reading, writing


async def main(era):
    told = Noting()
    given = {
        "logging_callback": told.log, "message_handler": told.message, "sampling_callback": told.sample,
        "elicitation_callback": told.elicit, "list_roots_callback": told.roots,
    }
    async with reached() as (reading, writing), ClientSession(reading, writing, **given) as session:
        version = (await session.initialize()).protocolVersion
        return await all_features(Session(session, version), told, era)


sys.exit(asyncio.run(main(sys.argv[1])))
