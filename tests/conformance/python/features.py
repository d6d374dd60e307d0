"""The official Python SDK 2 as a client of every feature, against a server that has the fixtures of src/tools/fixtures.

Reads MCPRING_URL, MCPRING_CA, MCPRING_TOKEN and MCPRING_CUT, or MCPRING_COMMAND to talk to the standard streams of that; the
first argument is the era: legacy, modern or auto. Exits 0 only when every answer was right.
"""

import asyncio
import contextlib
import json
import os
import ssl
import sys

import httpx2
import mcp_types as types
from checks import MODERN, ROOTS, Told, all_features
from mcp import Client, StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

MODES = {"legacy": "legacy", "modern": MODERN, "auto": "auto"}


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
        if kind := KINDS.get(type(message)):
            self.notified(kind, getattr(message.params, "uri", None))

    async def sample(self, context, params):
        said = self.sampled([(one.role, one.content.text) for one in params.messages], params.max_tokens)
        content = types.TextContent(text=said)
        return types.CreateMessageResult(role="assistant", content=content, model="a-model", stop_reason="endTurn")

    async def elicit(self, context, params):
        content = self.form(params.message, params.requested_schema)
        if isinstance(content, str):
            return types.ElicitResult(action=content)
        return types.ElicitResult(action="accept", content=content)

    async def roots(self, context):
        self.asked.append("roots")
        return types.ListRootsResult(roots=[types.Root(uri=uri, name=name) for uri, name in ROOTS])


class Completing(Client):
    """The SDK's client, with completion by name."""

    async def complete_prompt(self, name, argument, typed):
        asked = await self.complete(types.PromptReference(name=name), {"name": argument, "value": typed})
        return asked.completion

    async def complete_template(self, uri, variable, typed):
        asked = await self.complete(types.ResourceTemplateReference(uri=uri), {"name": variable, "value": typed})
        return asked.completion


@contextlib.asynccontextmanager
async def reached():
    """The transport by which the server is reached."""
    if command := os.environ.get("MCPRING_COMMAND"):
        program, *arguments = json.loads(command)
        yield stdio_client(StdioServerParameters(command=program, args=arguments, env=dict(os.environ)))
        return
    trust = ssl.create_default_context(cafile=os.environ["MCPRING_CA"])
    headers = {"Authorization": f"Bearer {os.environ['MCPRING_TOKEN']}"}
    async with httpx2.AsyncClient(verify=trust, headers=headers, timeout=30) as http:
        yield streamable_http_client(os.environ["MCPRING_URL"], http_client=http)


async def main(era):
    told = Noting()
    given = {
        "logging_callback": told.log, "message_handler": told.message, "sampling_callback": told.sample,
        "elicitation_callback": told.elicit, "list_roots_callback": told.roots, "log_level": "debug",
    }
    async with reached() as transport, Completing(transport, mode=MODES[era], cache=None, **given) as client:
        return await all_features(client, told, era)


sys.exit(asyncio.run(main(sys.argv[1])))
