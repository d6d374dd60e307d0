"""The official Python SDK as a client of the server under test: negotiates, lists and calls the demo tools.

Reads MCPRING_URL, MCPRING_CA and MCPRING_TOKEN; the first argument is the era: legacy, modern or auto.
Exits 0 only when every answer was right.
"""

import asyncio
import os
import ssl
import sys
from datetime import UTC, datetime, timedelta

import httpx2
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client

MODERN = "2026-07-28"
MODES = {"legacy": "legacy", "modern": MODERN, "auto": "auto"}
MESSAGES = ["hello", "", 'quotes " and \\ and \n', "\u00e4\u6f22\U0001f980\u0000", "x" * 100_000]


class Wrong(Exception):
    """An answer that is not what it must be."""


def expect(got, wanted, what):
    if got != wanted:
        raise Wrong(f"{what}: got {str(got)[:300]!r}, wanted {str(wanted)[:300]!r}")
    print(f"  ok: {what}")


def text(result):
    return [block.text for block in result.content], bool(result.is_error)


async def refused(client, tool, arguments):
    """Whether the call is answered as an error, of the protocol or of the tool."""
    try:
        return bool((await client.call_tool(tool, arguments)).is_error)
    except MCPError:
        return True


async def check(client, era):
    version = client.protocol_version
    expect(version < MODERN if era == "legacy" else version == MODERN, True, f"revision {version}")
    if era == "legacy":
        await client.send_ping()

    tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    expect({"echo", "time", "countdown"} - set(tools), set(), "the demo tools are listed")
    for tool in tools.values():
        expect((bool(tool.description), tool.input_schema.get("type")), (True, "object"), f"{tool.name} is described")
    expect("message" in tools["echo"].input_schema["properties"], True, "echo names its argument")

    for message in MESSAGES:
        result = await client.call_tool("echo", {"message": message})
        expect(text(result), ([message], False), f"echo of {len(message)} characters")

    ((told,), failed) = text(await client.call_tool("time", {}))
    when = datetime.fromisoformat(told)
    expect((failed, when.utcoffset()), (False, timedelta(0)), "time is UTC")
    expect(abs(datetime.now(UTC) - when) < timedelta(minutes=1), True, "time is now")

    seen = []

    async def progress(done, total, message):
        seen.append(done)

    result = await client.call_tool("countdown", {"steps": 5, "interval_ms": 20}, progress_callback=progress)
    expect(text(result), (["done"], False), "countdown ends")
    expect(seen, [1, 2, 3, 4, 5], "countdown reports its progress")

    several = [f"call {number}" for number in range(20)]
    results = await asyncio.gather(*(client.call_tool("echo", {"message": message}) for message in several))
    expect([text(result) for result in results], [([message], False) for message in several], "calls at once keep apart")

    expect(await refused(client, "no_such_tool", {}), True, "an unknown tool is refused")
    expect(await refused(client, "echo", {}), True, "a missing argument is refused")


async def main(era):
    trust = ssl.create_default_context(cafile=os.environ["MCPRING_CA"])
    headers = {"Authorization": f"Bearer {os.environ['MCPRING_TOKEN']}"}
    async with httpx2.AsyncClient(verify=trust, headers=headers, timeout=30) as http:
        transport = streamable_http_client(os.environ["MCPRING_URL"], http_client=http)
        async with asyncio.timeout(60), Client(transport, mode=MODES[era], cache=None) as client:
            try:
                await check(client, era)
            except Wrong as wrong:
                # Told once the connection is closed, so that it is not buried in exception groups.
                return f"wrong: {wrong}"
    return None


sys.exit(asyncio.run(main(sys.argv[1])))
