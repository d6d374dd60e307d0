"""What every Python client checks, against a server that has the conformance suite's fixtures.

A client is an object with the methods of the official SDK 2: `features.py` here is the plainest.
MCPRING_CUT is a port: to connect to it cuts every connection that is open.
"""

import asyncio
import base64
import os

MODERN = "2026-07-28"


class Wrong(Exception):
    """An answer that is not what it must be."""


def expect(got, wanted, what):
    if got != wanted:
        raise Wrong(f"{what}: got {str(got)[:300]!r}, wanted {str(wanted)[:300]!r}")
    print(f"  ok: {what}", flush=True)


class Told:
    """What the server told outside of answers; the clients note it here."""

    def __init__(self):
        self.logs, self.tools_changed = [], asyncio.Event()


async def pages(ask, field):
    """Every entry of a list, page after page."""
    entries, cursor = [], None
    for _ in range(100):
        answer = await ask(cursor=cursor)
        entries += getattr(answer, field)
        if (cursor := answer.next_cursor) is None:
            return entries
    raise Wrong(f"{field}: the pages never end")


async def refused(asked, codes):
    """Whether the server answers with an error of one of these codes."""
    try:
        await asked
    except Exception as error:  # Each library raises its own; all carry the error.
        return getattr(getattr(error, "error", None), "code", error) in codes
    return False


async def tools(client, told):
    listed = [tool.name for tool in await pages(client.list_tools, "tools")]
    wanted = {"test_simple_text", "test_error_handling", "test_sampling", "test_trigger_tool_change", "slow_compute", "greet"}
    expect((wanted - set(listed), len(listed)), (set(), len(set(listed))), "tools are listed, each once")
    said = await client.call_tool("test_simple_text", {})
    expect([block.text for block in said.content], ["This is a simple text response for testing."], "a text")
    (image,) = (await client.call_tool("test_image_content", {})).content
    expect((image.type, base64.b64decode(image.data)[1:4]), ("image", b"PNG"), "an image")
    (audio,) = (await client.call_tool("test_audio_content", {})).content
    expect((audio.type, audio.mime_type, base64.b64decode(audio.data)[:4]), ("audio", "audio/wav", b"RIFF"), "audio")
    (inside,) = (await client.call_tool("test_embedded_resource", {})).content
    expect(str(inside.resource.uri), "test://embedded-resource", "an embedded resource")
    several = (await client.call_tool("test_multiple_content_types", {})).content
    expect({"text", "image", "resource"} - {block.type for block in several}, set(), "several kinds of content")
    expect((await client.call_tool("test_error_handling", {})).is_error, True, "a tool's own error")
    expect((await client.call_tool("greet", {})).is_error, True, "missing arguments are the tool's error")
    expect(await refused(client.call_tool("no_such_tool", {}), [-32602]), True, "an unknown tool is refused")


async def resources(client, told):
    listed = {str(one.uri) for one in await pages(client.list_resources, "resources")}
    expect({"test://static-text", "test://static-binary"} - listed, set(), "resources are listed")
    templates = [one.uri_template for one in await pages(client.list_resource_templates, "resource_templates")]
    expect("test://template/{id}/data" in templates, True, "templates are listed")
    (text,) = (await client.read_resource("test://static-text")).contents
    expect((str(text.uri), bool(text.text)), ("test://static-text", True), "a text resource")
    (binary,) = (await client.read_resource("test://static-binary")).contents
    expect(base64.b64decode(binary.blob)[1:4], b"PNG", "a binary resource")
    (data,) = (await client.read_resource("test://template/4711/data")).contents
    expect("4711" in data.text, True, "a resource of a template")
    answer = await refused(client.read_resource("test://nowhere"), [-32602, -32002])
    expect(answer, True, "an unknown resource is refused")


async def prompts(client, told):
    listed = {one.name for one in await pages(client.list_prompts, "prompts")}
    expect({"test_simple_prompt", "test_prompt_with_arguments"} - listed, set(), "prompts are listed")
    expect(bool((await client.get_prompt("test_simple_prompt")).messages[0].content.text), True, "a prompt")
    filled = await client.get_prompt("test_prompt_with_arguments", {"arg1": "one-arg", "arg2": "other-arg"})
    said = " ".join(message.content.text for message in filled.messages)
    expect(("one-arg" in said, "other-arg" in said), (True, True), "a prompt with arguments")
    held = await client.get_prompt("test_prompt_with_embedded_resource", {"resourceUri": "test://held"})
    expect(["test://held"], [str(m.content.resource.uri) for m in held.messages if m.content.type == "resource"], "a prompt with a resource")
    image = await client.get_prompt("test_prompt_with_image")
    expect("image" in [message.content.type for message in image.messages], True, "a prompt with an image")
    expect(await refused(client.get_prompt("no_such_prompt"), [-32602]), True, "an unknown prompt is refused")
    values = await client.complete("test_prompt_with_arguments", {"name": "arg1", "value": "test"})
    expect(bool(values) and all(value.startswith("test") for value in values), True, "completions")


async def telling(client, told):
    seen = []

    async def progress(done, total, message):
        seen.append((done, total))

    await client.call_tool("test_tool_with_progress", {}, progress_callback=progress)
    expect(seen, [(0, 100), (50, 100), (100, 100)], "progress")
    if client.protocol_version < MODERN:
        await client.set_logging_level("debug")
    await client.call_tool("test_tool_with_logging", {})
    for _ in range(100):
        if len(told.logs) >= 3:
            break
        await asyncio.sleep(0.02)
    expect(len(told.logs), 3, "log messages")


async def asking(client, told):
    said = await client.call_tool("test_sampling", {"prompt": "a question"})
    expect("sampled for a question" in said.content[0].text, True, "sampling")
    said = await client.call_tool("test_elicitation", {"message": "Please"})
    expect("Ada's username" in said.content[0].text, True, "elicitation")
    said = await client.call_tool("test_input_required_result_elicitation", {})
    expect("Ada's name" in said.content[0].text, True, "elicitation by a tool of the modern era")
    said = await client.call_tool("test_input_required_result_list_roots", {})
    expect("ada" in said.content[0].text, True, "roots")


async def cancelling(client, told):
    running = asyncio.create_task(client.call_tool("slow_compute", {"seconds": 60, "label": "never"}))
    await asyncio.sleep(0.5)
    running.cancel()
    await asyncio.wait([running], timeout=5)
    expect(running.cancelled(), True, "a call is cancelled")
    said = await client.call_tool("greet", {"name": "Ada"})
    expect(said.content[0].text, "Hello, Ada!", "and the next one is answered")


async def changing(client, told):
    before = {tool.name for tool in await pages(client.list_tools, "tools")}
    if client.protocol_version < MODERN:
        await client.subscribe_resource("test://watched-resource")
        await client.unsubscribe_resource("test://watched-resource")
        # The stream on which it is told is opened beside the first calls.
        await asyncio.sleep(0.3)
        await client.call_tool("test_trigger_tool_change", {})
        await asyncio.wait_for(told.tools_changed.wait(), 10)
    else:
        async with client.listen(tools_list_changed=True, resource_subscriptions=["test://watched-resource"]) as events:
            await client.call_tool("test_trigger_tool_change", {})
            event = await asyncio.wait_for(anext(aiter(events)), 10)
            expect(type(event).__name__, "ToolsListChanged", "the kind of change")
    after = {tool.name for tool in await pages(client.list_tools, "tools")}
    expect(before != after, True, "a change of the tools is told")


async def resuming(client, told):
    if client.protocol_version >= MODERN:
        return
    said = await client.call_tool("test_reconnection", {})
    expect((bool(said.is_error), bool(said.content)), (False, True), "a call whose stream the server closed")
    running = asyncio.create_task(client.call_tool("slow_compute", {"seconds": 2, "label": "late"}))
    await asyncio.sleep(0.7)
    _, writer = await asyncio.open_connection("127.0.0.1", int(os.environ["MCPRING_CUT"]))
    writer.close()
    said = await asyncio.wait_for(running, 20)
    expect((bool(said.is_error), "late" in said.content[0].text), (False, True), "a call whose stream was cut")


STEPS = [tools, resources, prompts, telling, asking, cancelling, changing, resuming]


async def all_features(client, told, era):
    """None, or what is wrong."""
    step = None
    try:
        async with asyncio.timeout(90):
            expect((client.protocol_version >= MODERN) == (era != "legacy"), True, f"revision {client.protocol_version}")
            for step in STEPS:
                await step(client, told)
    except Exception as wrong:  # Told once the connection is closed, so that it is not buried in exception groups.
        return f"wrong: {step.__name__ if step else 'start'}: {type(wrong).__name__}: {wrong}"
    return None
