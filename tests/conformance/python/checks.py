"""What every Python client checks, against a server that has the fixtures of src/tools/fixtures.

A client is an object with the methods of the official SDK 2: `features.py` here is the plainest. Every value is compared
with what the fixture says. MCPRING_CUT is a port: to connect to it cuts every connection that is open. It is there where
what is cut can be resumed.
"""

import asyncio
import json
import os

MODERN = "2026-07-28"
PATIENCE = 5
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR42mP4z8AAAAMBAQD3A0FDAAAAAElFTkSuQmCC"
SOUND = "UklGRiwAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQgAAACAgICAgICAgA=="
WATCHED = "test://watched-resource"

STRING = {"type": "string"}
NAME = {"type": "object", "properties": {"name": STRING}, "required": ["name"]}
# What the user is asked: the form it comes with, and what the user fills in.
FORMS = {
    "What is your name?": (NAME, {"name": "Ada"}),
    "What is your first name?": (NAME, {"name": "Ada"}),
    "What is your last name?": (NAME, {"name": "King"}),
    "Step 1: What is your name?": (NAME, {"name": "Ada"}),
    "Step 2: What is your favorite color?": (
        {"type": "object", "properties": {"color": STRING}, "required": ["color"]}, {"color": "teal"},
    ),
    "Please confirm": ({"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}, {"ok": True}),
    "What context should the prompt use?": (
        {"type": "object", "properties": {"context": STRING}, "required": ["context"]}, {"context": "rings"},
    ),
    "Who are you?": (
        {
            "type": "object", "required": ["username", "email"],
            "properties": {
                "username": {"type": "string", "description": "User's response"},
                "email": {"type": "string", "description": "User's email address"},
            },
        },
        {"username": "ada", "email": "ada@example.org"},
    ),
    "Please review and update the form fields with defaults": (
        {
            "type": "object", "required": ["name", "age", "score", "status", "verified"],
            "properties": {
                "name": {"type": "string", "description": "User name", "default": "John Doe"},
                "age": {"type": "integer", "description": "User age", "default": 30},
                "score": {"type": "number", "description": "User score", "default": 95.5},
                "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
                "verified": {"type": "boolean", "description": "Verification status", "default": True},
            },
        },
        {"name": "Ada", "age": 36, "score": 99.5, "status": "pending", "verified": False},
    ),
    "Please select options from the enum fields": (
        {
            "type": "object",
            "required": ["untitledSingle", "titledSingle", "legacyEnum", "untitledMulti", "titledMulti"],
            "properties": {
                "untitledSingle": {"type": "string", "enum": ["option1", "option2", "option3"]},
                "titledSingle": {"type": "string", "oneOf": [
                    {"const": "value1", "title": "First Option"}, {"const": "value2", "title": "Second Option"},
                    {"const": "value3", "title": "Third Option"},
                ]},
                "legacyEnum": {
                    "type": "string", "enum": ["opt1", "opt2", "opt3"],
                    "enumNames": ["Option One", "Option Two", "Option Three"],
                },
                "untitledMulti": {"type": "array", "items": {"type": "string", "enum": ["option1", "option2", "option3"]}},
                "titledMulti": {"type": "array", "items": {"anyOf": [
                    {"const": "value1", "title": "First Choice"}, {"const": "value2", "title": "Second Choice"},
                    {"const": "value3", "title": "Third Choice"},
                ]}},
            },
        },
        {
            "untitledSingle": "option2", "titledSingle": "value3", "legacyEnum": "opt1",
            "untitledMulti": ["option1", "option3"], "titledMulti": ["value1", "value2"],
        },
    ),
}
# What the model is asked: the most tokens it may use, and what it says.
PROMPTS = {
    "How many rings?": (100, "Three rings."),
    "What is the capital of France?": (100, "Paris, of course."),
    "Generate a greeting": (50, "Good day"),
}
ROOTS = [("file:///ada/root", "Ada's root"), ("file:///ada/other", "Another")]


class Wrong(Exception):
    """An answer that is not what it must be."""


def expect(got, wanted, what):
    if got != wanted:
        raise Wrong(f"{what}: got {str(got)[:2000]!r}, wanted {str(wanted)[:2000]!r}")
    print(f"  ok: {what}", flush=True)


class Told:
    """What the server tells and asks outside of answers; the clients note it here."""

    def __init__(self):
        self.logs, self.wrong, self.asked = [], [], []
        self.heard, self.listens = asyncio.Queue(), False

    def notified(self, kind, uri):
        """A change that is told; those of a subscription are read from it, and come here besides."""
        if not self.listens:
            self.heard.put_nowait((kind, uri))

    def form(self, message, schema):
        """What the user fills into a form, or None to decline."""
        self.asked.append(message)
        if message in ("Decline this", "Cancel this"):
            return message.split()[0].lower()
        wanted, content = FORMS[message]
        schema = {name: value for name, value in schema.items() if name != "$schema"}
        if schema != wanted:
            self.wrong.append(f"the form of {message!r}: got {schema}, wanted {wanted}")
        return content

    def sampled(self, messages, tokens_max):
        """What the model says; messages are pairs of role and text."""
        ((role, prompt),) = messages
        self.asked.append(prompt)
        wanted, said = PROMPTS[prompt]
        if (role, tokens_max) != ("user", wanted):
            self.wrong.append(f"sampling of {prompt!r}: got {(role, tokens_max)}, wanted {('user', wanted)}")
        return said

    async def change(self, wanted, what):
        """The next change that the server tells of must be this one."""
        try:
            kind = await asyncio.wait_for(self.heard.get(), PATIENCE)
        except TimeoutError:
            kind = f"nothing within {PATIENCE} s"
        expect(kind, wanted, what)


async def pages(ask, field):
    """Every entry of a list, page after page."""
    entries, cursor = [], None
    for number in range(100):
        answer = await ask(cursor=cursor)
        entries += getattr(answer, field)
        if (cursor := answer.next_cursor) is None:
            return entries, number + 1
    raise Wrong(f"{field}: the pages never end")


async def refused(asked, wanted, what):
    """The server must answer with an error of this code and, unless it is None, this word for its reason."""
    try:
        got = await asked
    except Exception as error:  # Each library raises its own; all carry the error.
        told = getattr(error, "error", None)
        got = (told.code, (told.data or {}).get("reason")) if told else error
    expect(got, wanted, what)


def block(one):
    """A block of content as a plain tuple."""
    match one.type:
        case "text":
            return ("text", one.text)
        case "image" | "audio":
            return (one.type, one.mime_type, one.data)
        case "resource":
            return ("resource", str(one.resource.uri), one.resource.mime_type, one.resource.text)
    return one


async def called(client, tool, arguments, wanted, failed=False, **more):
    """Calls a tool, which must answer with exactly these blocks; a text may stand for a block."""
    said = await client.call_tool(tool, arguments, **more)
    wanted = [("text", one) if isinstance(one, str) else one for one in wanted]
    what = f"{tool} {arguments}" if arguments else tool
    expect((bool(said.is_error), [block(one) for one in said.content]), (failed, wanted), what)
    return said


LISTED = """test_simple_text test_image_content test_audio_content test_embedded_resource test_multiple_content_types
test_error_handling test_structured_content json_schema_2020_12_tool test_missing_capability test_header_parameter
test_tool_with_progress test_tool_with_logging test_logging_tool test_streaming_elicitation test_reconnection
test_trigger_tool_change test_trigger_prompt_change test_trigger_resource_update test_sampling test_elicitation
test_elicitation_sep1034_defaults test_elicitation_sep1330_enums greet slow_compute failing_job protocol_error_job
confirm_delete multi_input test_tool_with_task""".split()
WEATHER = {"celsius": 21.5, "conditions": "clear", "stations": ["north", "south"]}


async def tools(client, told):
    some, count = await pages(client.list_tools, "tools")
    listed = {tool.name: tool for tool in some}
    got = (set(LISTED) - listed.keys(), len(some), count > 1)
    expect(got, (set(), len(listed), True), "tools are listed in pages, each once")
    greet = listed["greet"]
    wanted = {"name": {"type": "string", "description": "Who is greeted."}}
    got = (greet.description, greet.input_schema["properties"], greet.input_schema["required"])
    expect(got, ("Greets someone, at once.", wanted, ["name"]), "a tool is described")
    schema = listed["json_schema_2020_12_tool"].input_schema
    got = (schema["$defs"]["address"]["$anchor"], schema["else"], schema["allOf"])
    either = [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}]
    expect(got, ("addressDef", {"required": ["email"]}, either), "a schema is passed on as it is")
    await refused(client.list_tools(cursor="made-up"), (-32602, "invalid_params"), "an invented cursor is refused")

    simple, image = "This is a simple text response for testing.", ("image", "image/png", PIXEL)
    await called(client, "test_simple_text", {}, [simple])
    await called(client, "test_image_content", {}, [image])
    await called(client, "test_audio_content", {}, [("audio", "audio/wav", SOUND)])
    inside = ("resource", "test://embedded-resource", "text/plain", "This is an embedded resource content.")
    await called(client, "test_embedded_resource", {}, [inside])
    mixed = ("resource", "test://mixed-content-resource", "application/json", '{"test":"data","value":123}')
    await called(client, "test_multiple_content_types", {}, ["Multiple content types test:", image, mixed])
    await called(client, "test_error_handling", {}, ["This tool intentionally returns an error for testing"], failed=True)
    said = await called(client, "test_structured_content", {}, [json.dumps(WEATHER, separators=(",", ":"))])
    expect(said.structured_content, WEATHER, "a structured result")
    outputs = {name: kind["type"] for name, kind in listed["test_structured_content"].output_schema["properties"].items()}
    wanted = {"celsius": "number", "conditions": "string", "stations": "array"}
    expect(outputs, wanted, "the schema of a structured result")
    await called(client, "greet", {"name": "Ada \u00e4\u6f22\U0001f980"}, ["Hello, Ada \u00e4\u6f22\U0001f980!"])
    await called(client, "test_header_parameter", {"region": "eu w\u00e4st"}, ["eu w\u00e4st"])
    await called(client, "greet", {}, ["invalid arguments: /name: is required"], failed=True)
    await called(client, "greet", {"name": 7}, ['invalid arguments: /name: 7 is not of type "string"'], failed=True)
    await called(client, "slow_compute", {"seconds": -1}, ["seconds must be 0 to 3600"], failed=True)
    await refused(client.call_tool("no_such_tool", {}), (-32602, "unknown_tool"), "an unknown tool is refused")
    await refused(client.call_tool("protocol_error_job", {}), (-32603, "handler_error"), "a tool's error of the protocol")
    answers = await asyncio.gather(*(client.call_tool("greet", {"name": str(number)}) for number in range(20)))
    expect([said.content[0].text for said in answers], [f"Hello, {number}!" for number in range(20)], "calls at once keep apart")


async def resources(client, told):
    listed = [(str(one.uri), one.name, one.mime_type) for one in (await pages(client.list_resources, "resources"))[0]]
    expect(listed, [
        ("test://static-text", "Static Text Resource", "text/plain"),
        ("test://static-binary", "Static Binary Resource", "image/png"),
        (WATCHED, "Watched Resource", "text/plain"),
    ], "resources are listed")
    some, _ = await pages(client.list_resource_templates, "resource_templates")
    templates = [(one.uri_template, one.mime_type) for one in some]
    expect(templates, [("test://template/{id}/data", "application/json")], "templates are listed")
    (text,) = (await client.read_resource("test://static-text")).contents
    got = (str(text.uri), text.mime_type, text.text)
    expect(got, ("test://static-text", "text/plain", "This is the content of the static text resource."), "a text resource")
    (binary,) = (await client.read_resource("test://static-binary")).contents
    expect((str(binary.uri), binary.mime_type, binary.blob), ("test://static-binary", "image/png", PIXEL), "a binary resource")
    (data,) = (await client.read_resource("test://template/4711/data")).contents
    wanted = {"data": "Data for ID: 4711", "id": "4711", "templateTest": True}
    expect((str(data.uri), json.loads(data.text)), ("test://template/4711/data", wanted), "a resource of a template")
    # The code of its own ended with the modern era.
    code = -32002 if client.protocol_version < MODERN else -32602
    await refused(client.read_resource("test://nowhere"), (code, "resource_not_found"), "an unknown resource is refused")


async def prompts(client, told):
    some, _ = await pages(client.list_prompts, "prompts")
    listed = [(one.name, [(each.name, each.required) for each in one.arguments or []]) for one in some]
    expect(listed, [
        ("test_simple_prompt", []),
        ("test_prompt_with_arguments", [("arg1", True), ("arg2", True)]),
        ("test_prompt_with_embedded_resource", [("resourceUri", True)]),
        ("test_prompt_with_image", []),
        ("test_input_required_result_prompt", []),
    ], "prompts are listed")

    async def said(name, arguments, wanted):
        got = await client.get_prompt(name, arguments)
        expect([(one.role, block(one.content)) for one in got.messages], [("user", one) for one in wanted], name)

    await said("test_simple_prompt", None, [("text", "This is a simple prompt for testing.")])
    given = {"arg1": "one", "arg2": "tw\u00f6"}
    await said("test_prompt_with_arguments", given, [("text", "Prompt with arguments: arg1='one', arg2='tw\u00f6'")])
    held = ("resource", "test://held", "text/plain", "Embedded resource content for testing.")
    question = ("text", "Please process the embedded resource above.")
    await said("test_prompt_with_embedded_resource", {"resourceUri": "test://held"}, [held, question])
    image = ("image", "image/png", PIXEL)
    await said("test_prompt_with_image", None, [image, ("text", "Please analyze the image above.")])
    await said("test_input_required_result_prompt", None, [("text", "Use this context: rings")])
    await refused(client.get_prompt("no_such_prompt"), (-32602, "unknown_prompt"), "an unknown prompt is refused")
    missing = client.get_prompt("test_prompt_with_arguments", {"arg1": "one"})
    await refused(missing, (-32602, "invalid_params"), "a prompt without an argument that it needs is refused")


async def completing(client, told):
    got = await client.complete_prompt("test_prompt_with_arguments", "arg1", "par")
    expect((got.values, got.total, got.has_more), (["paris", "park", "party"], 3, False), "completion of a prompt's argument")
    got = await client.complete_prompt("test_prompt_with_arguments", "arg2", "par")
    expect(got.values, [], "no completion where there is none")
    got = await client.complete_template("test://template/{id}/data", "id", "12")
    expect(got.values, ["123", "124"], "completion of a template's variable")


async def grown(several, count):
    """What came beside an answer, once there is enough of it: libraries hand it over in tasks of their own."""
    for _ in range(100):
        if len(several) >= count:
            break
        await asyncio.sleep(0.02)
    return several


async def progressed(client, tool, wanted, at=None):
    """Calls a tool that reports its progress; `at` is run when the first report comes."""
    seen = []

    async def progress(done, total, message):
        seen.append((done, total))
        if at and len(seen) == 1:
            await at()

    await called(client, tool, {}, [wanted], progress_callback=progress)
    return await grown(seen, 3)


async def telling(client, told):
    done = "Tool with progress executed successfully"
    seen = await progressed(client, "test_tool_with_progress", done)
    expect(seen, [(0, 100), (50, 100), (100, 100)], "progress")
    if client.protocol_version < MODERN:
        await client.set_logging_level("warning")
        await called(client, "test_tool_with_logging", {}, ["Tool with logging executed successfully"])
        expect(told.logs, [], "no log message below the level")
        await client.set_logging_level("debug")
    await called(client, "test_tool_with_logging", {}, ["Tool with logging executed successfully"])
    lines = ["Tool execution started", "Tool processing data", "Tool execution completed"]
    expect(await grown(told.logs, 3), [("info", line) for line in lines], "log messages")


async def asking(client, told):
    async def asked(tool, arguments, wanted, questions, failed=False):
        told.asked.clear()
        await called(client, tool, arguments, [wanted], failed=failed)
        expect((told.asked, told.wrong), (questions, []), f"what {tool} asks")

    await asked("test_sampling", {"prompt": "How many rings?"}, "LLM response: Three rings.", ["How many rings?"])
    said = 'User response: action=accept, content={"username":"ada","email":"ada@example.org"}'
    await asked("test_elicitation", {"message": "Who are you?"}, said, ["Who are you?"])
    for word, action in [("Decline", "decline"), ("Cancel", "cancel")]:
        await asked("test_elicitation", {"message": f"{word} this"}, f"User response: action={action}", [f"{word} this"])
    message = "Please review and update the form fields with defaults"
    content = '{"name":"Ada","age":36,"score":99.5,"status":"pending","verified":false}'
    await asked("test_elicitation_sep1034_defaults", {}, f"Elicitation completed: action=accept, content={content}", [message])
    message = "Please select options from the enum fields"
    content = json.dumps(FORMS[message][1], separators=(",", ":"))
    await asked("test_elicitation_sep1330_enums", {}, f"Elicitation completed: action=accept, content={content}", [message])
    await asked("test_streaming_elicitation", {}, "Hello, Ada!", ["What is your name?"])
    rounds = "test_input_required_result_"
    await asked(f"{rounds}elicitation", {}, "Hello, Ada!", ["What is your name?"])
    await asked(f"{rounds}sampling", {}, "Paris, of course.", ["What is the capital of France?"])
    await asked(f"{rounds}list_roots", {}, "Roots: file:///ada/root, file:///ada/other", ["roots"])
    await asked(f"{rounds}request_state", {}, "state-ok", ["Please confirm"])
    steps = ["Step 1: What is your name?", "Step 2: What is your favorite color?"]
    await asked(f"{rounds}multi_round", {}, "Ada likes teal", steps)
    told.asked.clear()
    await called(client, f"{rounds}multiple_inputs", {}, ["Ada; Good day; file:///ada/root, file:///ada/other"])
    questions = ["Generate a greeting", "What is your name?", "roots"]
    expect((sorted(told.asked), told.wrong), (questions, []), "three questions at once")
    told.asked.clear()
    await called(client, f"{rounds}capabilities", {}, ["Answers: Ada, Paris, of course."])
    expect(sorted(told.asked), ["What is the capital of France?", "What is your name?"], "what the client can do is asked")


async def cancelling(client, told):
    running = asyncio.create_task(client.call_tool("slow_compute", {"seconds": 60, "label": "never"}))
    await asyncio.sleep(0.5)
    expect(running.done(), False, "a call that takes its time")
    running.cancel()
    await asyncio.wait([running], timeout=5)
    expect(running.cancelled(), True, "a call is cancelled")
    await called(client, "greet", {"name": "Ada"}, ["Hello, Ada!"])


async def named(client):
    return {tool.name for tool in (await pages(client.list_tools, "tools"))[0]}


async def changing(client, told):
    if client.protocol_version < MODERN:
        # The stream on which changes are told is opened beside the first calls, and long open by now.
        await client.subscribe_resource(WATCHED)
        await watched(client, told)
        await client.unsubscribe_resource(WATCHED)
        await called(client, "test_trigger_resource_update", {}, ["The watched resource has changed."])
        await called(client, "test_trigger_tool_change", {}, ["The list of tools has changed."])
        await told.change(("ToolsListChanged", None), "a resource that is watched no more is not told of")
        return
    kinds = {"tools_list_changed": True, "prompts_list_changed": True, "resource_subscriptions": [WATCHED]}
    told.listens = True
    async with client.listen(**kinds) as events:

        async def hear():
            async for event in events:
                told.heard.put_nowait((type(event).__name__, getattr(event, "uri", None)))

        hearing = asyncio.create_task(hear())
        await watched(client, told)
        hearing.cancel()


async def watched(client, told):
    """Each kind of change is told after it is made."""
    for tool, said, kind in [
        ("test_trigger_tool_change", "The list of tools has changed.", ("ToolsListChanged", None)),
        ("test_trigger_prompt_change", "The list of prompts has changed.", ("PromptsListChanged", None)),
        ("test_trigger_resource_update", "The watched resource has changed.", ("ResourceUpdated", WATCHED)),
    ]:
        before = await named(client)
        await called(client, tool, {}, [said])
        await told.change(kind, f"{kind[0]} is told")
        came = {"test_dynamic_tool"} if kind[0] == "ToolsListChanged" else set()
        expect((await named(client)) ^ before, came, "the tool has come")


async def cut():
    """Cuts what is open; the relay closes its side when that is done."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(os.environ["MCPRING_CUT"]))
    await reader.read()
    writer.close()


async def resuming(client, told):
    if client.protocol_version >= MODERN:
        return
    # A library that can not resume a stream may wait for ever.
    async with asyncio.timeout(PATIENCE):
        await called(client, "test_reconnection", {}, ["Reconnection test completed successfully"])
    if "MCPRING_CUT" not in os.environ:
        return
    # While the stream of the session is away, a change is kept for it. This is the first cut, for the SDKs restore that
    # stream once only.
    await cut()
    await called(client, "test_trigger_tool_change", {}, ["The list of tools has changed."])
    await told.change(("ToolsListChanged", None), "a change is told over a stream that was cut")
    running = asyncio.create_task(client.call_tool("slow_compute", {"seconds": 1, "label": "late"}))
    await asyncio.sleep(0.5)
    await cut()
    said = await asyncio.wait_for(running, PATIENCE + 2)
    expect((bool(said.is_error), said.content[0].text), (False, "Computed late in 1 s"), "a call whose stream was cut")
    async with asyncio.timeout(PATIENCE):
        seen = await progressed(client, "test_tool_with_progress", "Tool with progress executed successfully", cut)
    expect(seen, [(0, 100), (50, 100), (100, 100)], "progress over a stream that was cut, each report once")


STEPS = [tools, resources, prompts, completing, telling, asking, cancelling, changing, resuming]


async def all_features(client, told, era):
    """None, or what is wrong."""
    step = None
    try:
        async with asyncio.timeout(60):
            version = client.protocol_version
            expect(version, "2025-11-25" if era == "legacy" else MODERN, "the revision")
            for step in STEPS:
                await step(client, told)
    except Exception as wrong:  # Told once the connection is closed, so that it is not buried in exception groups.
        return f"wrong: {step.__name__ if step else 'start'}: {type(wrong).__name__}: {wrong}"
    return None
