// The official TypeScript SDKs as clients of every feature, against a server with the fixtures of src/tools/fixtures.
// Reads MCPRING_URL, whose scheme and path tell the transport, MCPRING_TOKEN and MCPRING_CUT (a port: to connect to it cuts every
// connection that is open; there where what is cut can be resumed), or MCPRING_COMMAND to talk to the standard streams of that;
// the authority is NODE_EXTRA_CA_CERTS. Arguments: client (2.x) or sdk (1.x), and the era: legacy, modern, auto or a revision.
// Exits 0 only when every answer was right. Run it with the Node beside the packages, in their folder.
import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

const [generation, era] = process.argv.slice(2);
const { MCPRING_URL: url, MCPRING_TOKEN: token, MCPRING_CUT: cutPort, MCPRING_COMMAND: command } = process.env;
// Whether each call has a stream of its own, as over Streamable HTTP, or all share one.
const STREAMS = cutPort !== undefined;
const REVISION = { legacy: "2025-11-25", modern: "2026-07-28", auto: "2026-07-28" }[era] ?? era;
const MODERN = REVISION === "2026-07-28";
// Elicitation and structured output came with 2025-06-18, priming events and choices with titles with 2025-11-25.
const ASKS = REVISION >= "2025-06-18";
const PRIMES = REVISION === "2025-11-25";
const WATCHED = "test://watched-resource";

const told = { asked: [], logs: [], changed: [], updated: [], streams: 0, ended: 0, errors: [] };
const capabilities = { sampling: {}, roots: { listChanged: true }, ...(ASKS && { elicitation: {} }) };
let passed = 0;

function same(got, wanted, what) {
  assert.deepEqual(got, wanted, what);
  passed += 1;
  console.log(`  ok: ${what}`);
}

// What the user says to each question.
const CONTENT = {
  "What is your name?": { name: "Ada" },
  "Please confirm": { ok: true },
  "Step 1: What is your name?": { name: "Ada" },
  "Step 2: What is your favorite color?": { color: "teal" },
  "What context should the prompt use?": { context: "rings" },
  "Delete notes.txt?": { confirm: true },
  "Who are you?": { username: "ada", email: "ada@example.org" },
  "Please review and update the form fields with defaults": { name: "Ada", age: 36, score: 99.5, status: "pending", verified: false },
  "Please select options from the enum fields": {
    untitledSingle: "option2", titledSingle: "value3", legacyEnum: "opt1",
    untitledMulti: ["option1", "option3"], titledMulti: ["value1", "value2"],
  },
};
const answers = {
  "sampling/createMessage": ({ params: { messages, maxTokens } }) => {
    const said = [messages[0].content].flat()[0].text;
    told.asked.push([messages.length, messages[0].role, maxTokens]);
    return { role: "assistant", content: { type: "text", text: `sampled for ${said}` }, model: "a-model", stopReason: "endTurn" };
  },
  "elicitation/create": ({ params: { message, requestedSchema } }) => {
    told.asked.push(requestedSchema);
    if (message === "Decline this") return { action: "decline" };
    if (message === "Cancel this") return { action: "cancel" };
    assert.ok(CONTENT[message], `nobody knows an answer to ${message}`);
    return { action: "accept", content: CONTENT[message] };
  },
  "roots/list": () => ({ roots: [{ uri: "file:///ada/root", name: "Ada's root" }, { uri: "file:///ada/other" }] }),
};
const changed = ({ method }) => told.changed.push(method);
const notices = {
  "notifications/message": ({ params: { level, data } }) => told.logs.push([level, data]),
  "notifications/resources/updated": ({ params }) => told.updated.push(params.uri),
  "notifications/tools/list_changed": changed,
  "notifications/prompts/list_changed": changed,
};

// Counts the streams of a session that open, and the answers whose body the server ends.
async function noting(address, init) {
  const answer = await fetch(address, init);
  const wanted = init?.method === "GET" && answer.ok;
  if (wanted) told.streams += 1;
  if (!answer.body || wanted) return answer;
  const body = answer.body.pipeThrough(new TransformStream({ flush: () => void (told.ended += 1) }));
  return new Response(body, { status: answer.status, statusText: answer.statusText, headers: answer.headers });
}

// The two generations differ in how handlers are named and where the options of a call go.
async function secondGeneration() {
  const { Client, StreamableHTTPClientTransport } = await import("@modelcontextprotocol/client");
  const { StdioClientTransport } = await import("@modelcontextprotocol/client/stdio");
  const mode = { modern: { pin: REVISION }, auto: "auto" }[era] ?? "legacy";
  const older = mode === "legacy" && era !== "legacy" && { supportedProtocolVersions: [era] };
  const client = new Client({ name: "features", version: "1" }, { capabilities, versionNegotiation: { mode }, ...older });
  const can = Object.entries(answers).filter(([method]) => ASKS || method !== "elicitation/create");
  for (const [method, answer] of can) client.setRequestHandler(method, async (request) => answer(request));
  for (const [method, note] of Object.entries(notices)) client.setNotificationHandler(method, (notice) => void note(notice));
  const Transport = command ? StdioClientTransport : StreamableHTTPClientTransport;
  return [client, Transport, (params, options) => client.callTool(params, options)];
}

async function firstGeneration() {
  assert.equal(era, "legacy", "the first generation knows no other era");
  const { Client } = await import("@modelcontextprotocol/sdk/client/index.js");
  const schemas = await import("@modelcontextprotocol/sdk/types.js");
  const client = new Client({ name: "features", version: "1" }, { capabilities });
  for (const name of ["CreateMessageRequest", "ElicitRequest", "ListRootsRequest"]) {
    client.setRequestHandler(schemas[`${name}Schema`], async (request) => answers[request.method](request));
  }
  for (const name of ["LoggingMessage", "ToolListChanged", "PromptListChanged", "ResourceUpdated"]) {
    client.setNotificationHandler(schemas[`${name}NotificationSchema`], (notice) => void notices[notice.method](notice));
  }
  return [client, await firstTransport(), (params, options) => client.callTool(params, undefined, options)];
}

async function firstTransport() {
  const of = (name) => import(`@modelcontextprotocol/sdk/client/${name}.js`);
  if (command) return (await of("stdio")).StdioClientTransport;
  if (url.endsWith("/sse")) return (await of("sse")).SSEClientTransport;
  if (!url.startsWith("ws")) return (await of("streamableHttp")).StreamableHTTPClientTransport;
  // That client has no place for headers, which Node's WebSocket takes.
  globalThis.WebSocket = class extends WebSocket {
    constructor(address, protocols) {
      super(address, { protocols, headers: requestInit.headers });
    }
  };
  return (await of("websocket")).WebSocketClientTransport;
}

async function until(condition, what) {
  const patience = Date.now() + 10_000;
  while (!condition()) {
    assert.ok(Date.now() < patience, `${what} did not happen`);
    await sleep(10);
  }
}

// Every entry of a list, page after page.
async function pages(ask, field) {
  const entries = [];
  let cursor = undefined;
  for (let page = 0; page < 100; page += 1) {
    const answer = await ask(cursor === undefined ? undefined : { cursor }, { cacheMode: "refresh" });
    entries.push(...answer[field]);
    cursor = answer.nextCursor;
    if (cursor === undefined) return entries;
  }
  return assert.fail(`${field}: the pages never end`);
}

async function refused(asked, wanted, what) {
  const error = await asked.then(() => undefined, (error) => error);
  same([error?.code, error?.data?.uri], wanted, what);
}

const requestInit = { headers: { Authorization: `Bearer ${token}` } };
const start = { client: secondGeneration, sdk: firstGeneration }[generation];
const [client, Transport, callTool] = await start();
const call = (name, args = {}, options = {}) => callTool({ name, arguments: args }, options);
const text = async (name, args, options) => {
  const { content, isError = false } = await call(name, args, options);
  return [isError, ...content.map((block) => block.text)];
};
const says = async (name, args, wanted, what) => same(await text(name, args), [false, wanted], what);
const PIXEL = { length: 69, begins: "\x89PNG" };
const bytes = (base64) => {
  const decoded = Buffer.from(base64, "base64");
  return { length: decoded.length, begins: decoded.toString("latin1", 0, 4) };
};
const toolNames = async () => (await pages((...given) => client.listTools(...given), "tools")).map(({ name }) => name);

async function tools() {
  const listed = await pages((...given) => client.listTools(...given), "tools");
  const names = listed.map((tool) => tool.name).filter((name) => name !== "test_dynamic_tool");
  same([names[0], names.length, new Set(names).size], ["test_simple_text", 37, 37], "tools are listed, each once");
  same(listed.some(({ outputSchema }) => outputSchema), ASKS, "output schemas are listed where they are known");
  const { description, inputSchema } = listed.find(({ name }) => name === "greet");
  const { type, properties, required } = inputSchema;
  const name = { type: "string", description: "Who is greeted." };
  same([description, type, properties, required], ["Greets someone, at once.", "object", { name }, ["name"]], "a tool is described");
  same(await text("test_simple_text"), [false, "This is a simple text response for testing."], "a text");
  const [image, ...noMore] = (await call("test_image_content")).content;
  same([image.type, image.mimeType, bytes(image.data), noMore], ["image", "image/png", PIXEL, []], "an image");
  const [audio] = (await call("test_audio_content")).content;
  same([audio.type, audio.mimeType, bytes(audio.data)], ["audio", "audio/wav", { length: 52, begins: "RIFF" }], "a sound");
  const [{ type: kind, resource }] = (await call("test_embedded_resource")).content;
  const embedded = { uri: "test://embedded-resource", mimeType: "text/plain", text: "This is an embedded resource content." };
  same([kind, resource], ["resource", embedded], "an embedded resource");
  const kinds = (await call("test_multiple_content_types")).content.map((block) => block.type);
  same(kinds, ["text", "image", "resource"], "several kinds of content");
  const region = "K\u00f6ln \u6f22 =?base64?";
  for (const where of ["eu-west", region]) await says("test_header_parameter", { region: where }, where, "an argument that is a header too");
  const { structuredContent, content: [{ text: copy }] } = await call("test_structured_content");
  const weather = { celsius: 21.5, conditions: "clear", stations: ["north", "south"] };
  same(JSON.parse(copy), weather, "a structured result as text");
  same(structuredContent, ASKS ? weather : undefined, "a structured result as a value");
}

async function mistakes() {
  same(await text("test_error_handling"), [true, "This tool intentionally returns an error for testing"], "a tool's own error");
  const [failed, why] = await text("greet");
  same([failed, /name/.test(why)], [true, true], `a missing argument is the tool's error: ${why}`);
  const [wrong, where] = await text("greet", { name: 7 });
  same([wrong, where.includes("/name")], [true, true], `a wrong argument is named: ${where}`);
  await refused(call("no_such_tool"), [-32602, undefined], "an unknown tool is refused");
  // The revisions before 2026-07-28 say -32002, which the second generation gives its caller as today's code.
  const missing = generation === "client" ? -32602 : -32002;
  await refused(client.readResource({ uri: "test://nowhere" }), [missing, "test://nowhere"], "an unknown resource is refused");
  await refused(client.getPrompt({ name: "no_such_prompt" }), [-32602, undefined], "an unknown prompt is refused");
  await refused(client.listTools({ cursor: "made-up" }), [-32602, undefined], "an invented cursor is refused");
}

async function resources() {
  const listed = (await pages((...given) => client.listResources(...given), "resources")).map(({ uri, mimeType }) => [uri, mimeType]);
  const wanted = [["test://static-text", "text/plain"], ["test://static-binary", "image/png"], [WATCHED, "text/plain"]];
  same(listed, wanted, "resources are listed");
  const templates = await pages((...given) => client.listResourceTemplates(...given), "resourceTemplates");
  same(templates.map(({ uriTemplate }) => uriTemplate), ["test://template/{id}/data"], "templates are listed");
  const read = async (uri) => (await client.readResource({ uri })).contents;
  const words = "This is the content of the static text resource.";
  same(await read("test://static-text"), [{ uri: "test://static-text", mimeType: "text/plain", text: words }], "a text resource");
  const [{ uri, mimeType, blob }] = await read("test://static-binary");
  same([uri, mimeType, bytes(blob)], ["test://static-binary", "image/png", PIXEL], "a binary resource");
  const [data] = await read("test://template/4711/data");
  same(JSON.parse(data.text), { id: "4711", templateTest: true, data: "Data for ID: 4711" }, "a resource of a template");
}

async function prompts() {
  const listed = await pages((...given) => client.listPrompts(...given), "prompts");
  const names = ["simple_prompt", "prompt_with_arguments", "prompt_with_embedded_resource", "prompt_with_image", "input_required_result_prompt"];
  same(
    listed.map(({ name }) => name).filter((name) => name !== "test_dynamic_prompt"),
    names.map((name) => `test_${name}`),
    "prompts are listed",
  );
  const wanted = ["First", "Second"].map((which, index) => ({ name: `arg${index + 1}`, description: `${which} test argument`, required: true }));
  same(listed[1].arguments, wanted, "a prompt's arguments are listed");
  const messages = async (name, args) => (await client.getPrompt({ name, arguments: args })).messages;
  const user = (words) => ({ role: "user", content: { type: "text", text: words } });
  same(await messages("test_simple_prompt"), [user("This is a simple prompt for testing.")], "a prompt");
  const filled = await messages("test_prompt_with_arguments", { arg1: "one's", arg2: "\u6f22" });
  same(filled, [user("Prompt with arguments: arg1='one's', arg2='\u6f22'")], "a prompt with arguments");
  const [held] = await messages("test_prompt_with_embedded_resource", { resourceUri: "test://held" });
  const resource = { uri: "test://held", mimeType: "text/plain", text: "Embedded resource content for testing." };
  same(held.content, { type: "resource", resource }, "a prompt with a resource");
  const [{ content: image }] = await messages("test_prompt_with_image");
  same([image.type, image.mimeType, bytes(image.data)], ["image", "image/png", PIXEL], "a prompt with an image");
  const complete = async (ref, name, value) => (await client.complete({ ref, argument: { name, value } })).completion.values;
  const prompt = { type: "ref/prompt", name: "test_prompt_with_arguments" };
  same(await complete(prompt, "arg1", "par"), ["paris", "park", "party"], "completions of a prompt's argument");
  const template = { type: "ref/resource", uri: "test://template/{id}/data" };
  same(await complete(template, "id", "12"), ["123", "124"], "completions of a template's variable");
}

async function telling() {
  const seen = [];
  await call("test_tool_with_progress", {}, { onprogress: ({ progress, total }) => seen.push([progress, total]) });
  // On a stream of all calls the SDKs drop a report that they read together with the answer, which removes its handler first.
  const sure = STREAMS ? 3 : 2;
  same(seen.slice(0, sure), [[0, 100], [50, 100], [100, 100]].slice(0, sure), "progress");
  const logged = { name: "test_tool_with_logging", arguments: {} };
  const at = (level) => (MODERN ? { ...logged, _meta: { "io.modelcontextprotocol/logLevel": level } } : logged);
  if (!MODERN) await client.setLoggingLevel("error");
  await callTool(at("error"), {});
  same(told.logs, [], "no log messages below the level");
  if (!MODERN) await client.setLoggingLevel("debug");
  await callTool(at("debug"), {});
  const wanted = ["Tool execution started", "Tool processing data", "Tool execution completed"].map((data) => ["info", data]);
  await until(() => told.logs.length >= wanted.length, "the third log message");
  same(told.logs, wanted, "log messages");
}

async function questions() {
  await says("test_sampling", { prompt: "a question" }, "LLM response: sampled for a question", "sampling");
  same(told.asked.pop(), [1, "user", 100], "what the model is asked");
  await says("test_input_required_result_list_roots", {}, "Roots: file:///ada/root, file:///ada/other", "roots");
  const capital = "sampled for What is the capital of France?";
  if (!ASKS) {
    await says("test_input_required_result_capabilities", {}, `Answers: ${capital}`, "only what the client offers is asked");
    return;
  }
  await says("test_input_required_result_capabilities", {}, `Answers: Ada, ${capital}`, "what the client offers is asked");
  const accepted = 'User response: action=accept, content={"username":"ada","email":"ada@example.org"}';
  await says("test_elicitation", { message: "Who are you?" }, accepted, "elicitation");
  const { type, properties, required } = told.asked.pop();
  same([type, Object.keys(properties), required], ["object", ["username", "email"], ["username", "email"]], "the form");
  await says("test_elicitation", { message: "Decline this" }, "User response: action=decline", "the user declines");
  await says("test_elicitation", { message: "Cancel this" }, "User response: action=cancel", "the user cancels");
  const filled = '{"name":"Ada","age":36,"score":99.5,"status":"pending","verified":false}';
  await says("test_elicitation_sep1034_defaults", {}, `Elicitation completed: action=accept, content=${filled}`, "a form with defaults");
  const defaults = Object.entries(told.asked.pop().properties).map(([name, field]) => [name, field.type, field.default]);
  const wanted = [["age", "integer", 30], ["name", "string", "John Doe"], ["score", "number", 95.5], ["status", "string", "active"], ["verified", "boolean", true]];
  same(defaults.sort(), wanted, "the defaults");
  if (REVISION >= "2025-11-25") {
    const chosen = JSON.stringify(CONTENT["Please select options from the enum fields"]);
    await says("test_elicitation_sep1330_enums", {}, `Elicitation completed: action=accept, content=${chosen}`, "a form of choices");
    const fields = told.asked.pop().properties;
    same(fields.titledSingle.oneOf[2], { const: "value3", title: "Third Option" }, "the title of a choice");
    same(fields.titledMulti.items.anyOf[1], { const: "value2", title: "Second Choice" }, "the title of one of several choices");
  }
}

async function rounds() {
  if (!ASKS) return;
  const tool = (name) => `test_input_required_result_${name}`;
  await says(tool("elicitation"), {}, "Hello, Ada!", "one question");
  await says(tool("sampling"), {}, "sampled for What is the capital of France?", "one question to the model");
  await says(tool("request_state"), {}, "state-ok", "a question with state");
  await says(tool("multiple_inputs"), {}, "Ada; sampled for Generate a greeting; file:///ada/root, file:///ada/other", "three questions at once");
  await says(tool("multi_round"), {}, "Ada likes teal", "two questions one after the other");
  await says("confirm_delete", { filename: "notes.txt" }, "Deleted notes.txt", "a question before a deed");
  const seen = [];
  // What the SDK itself reports of its rounds has no total.
  const hello = await text("test_streaming_elicitation", {}, { onprogress: ({ progress, total }) => total && seen.push(progress) });
  same([hello, STREAMS && new Set(seen)], [[false, "Hello, Ada!"], STREAMS && new Set([0])], "progress, then a question");
  const { messages } = await client.getPrompt({ name: "test_input_required_result_prompt" });
  same(messages[0].content.text, "Use this context: rings", "a prompt that asks");
}

async function cancelling() {
  const stop = new AbortController();
  const running = call("slow_compute", { seconds: 60, label: "never" }, {
    signal: stop.signal,
    timeout: 20_000,
    onresumptiontoken: () => stop.abort("enough"),
  });
  // Where no event says that the call has begun, the next answer does: it was asked for later.
  if (!PRIMES || !STREAMS) {
    await says("greet", { name: "Ada" }, "Hello, Ada!", "a call beside one that runs");
    stop.abort("enough");
  }
  const before = told.ended;
  const began = Date.now();
  await assert.rejects(running, /enough/);
  if (STREAMS && !MODERN) await until(() => told.ended > before, "the end of the cancelled call's stream");
  same(Date.now() - began < 15_000, true, "a call is cancelled");
  await says("greet", { name: "Ada" }, "Hello, Ada!", "and the next one is answered");
}

// The trigger is called and must be told; another client of the server may pull it too.
async function toldOf(trigger, method) {
  told.changed.length = 0;
  await call(trigger);
  await until(() => told.changed.includes(method), `the notification ${method}`);
  same(new Set(told.changed).has(method), true, method);
}

async function changing() {
  let listening = undefined;
  if (MODERN) {
    const filter = { toolsListChanged: true, promptsListChanged: true, resourceSubscriptions: [WATCHED] };
    listening = await client.listen(filter);
    same(listening.honoredFilter, filter, "a subscription is acknowledged");
  } else {
    if (STREAMS) await until(() => told.streams > 0, "the stream of the session");
    await client.subscribeResource({ uri: WATCHED });
  }
  const isThere = async () => (await toolNames()).includes("test_dynamic_tool");
  const before = await isThere();
  await toldOf("test_trigger_tool_change", "notifications/tools/list_changed");
  for (let again = 0; again < 5 && (await isThere()) === before; again += 1) await call("test_trigger_tool_change");
  same(await isThere(), !before, "the tool has come or gone");
  await toldOf("test_trigger_prompt_change", "notifications/prompts/list_changed");
  await call("test_trigger_resource_update");
  await until(() => told.updated.length > 0, "the notification of the watched resource");
  same([...new Set(told.updated)], [WATCHED], "a resource that is watched has changed");
  if (listening) {
    await listening.close();
    same(await listening.closed, "local", "the subscription is closed");
    return;
  }
  await client.unsubscribeResource({ uri: WATCHED });
  // What comes on the same stream comes in order.
  await toldOf("test_trigger_tool_change", "notifications/tools/list_changed");
  told.updated.length = 0;
  await call("test_trigger_resource_update");
  await toldOf("test_trigger_tool_change", "notifications/tools/list_changed");
  same(told.updated, [], "and is watched no more");
}

async function cut() {
  const socket = net.connect(Number(cutPort), "127.0.0.1");
  await once(socket, "connect");
  socket.destroy();
}

async function resuming() {
  if (!PRIMES) return;
  const patient = { timeout: 20_000 };
  const resumed = "Reconnection test completed successfully";
  same(await text("test_reconnection", {}, patient), [false, resumed], "a call whose stream the server closed");
  if (!STREAMS) return;
  // The first event of a stream has an id, so the call has begun and can be resumed.
  let cuts = 0;
  const late = await text("slow_compute", { seconds: 0.5, label: "late" }, {
    ...patient,
    onresumptiontoken: () => (cuts += 1) === 1 && void cut(),
  });
  same([cuts > 0, late], [true, [false, "Computed late in 0.5 s"]], "a call whose stream was cut");
  const seen = [];
  let halves = 0;
  const steps = await text("test_tool_with_progress", {}, {
    ...patient,
    onprogress: ({ progress }) => (seen.push(progress), progress === 0 && (halves += 1) === 1 && void cut()),
  });
  same([seen, steps], [[0, 50, 100], [false, "Tool with progress executed successfully"]], "progress is told once, whatever is cut");
  const before = told.streams;
  await cut();
  await until(() => told.streams > before, "the stream of the session again");
  await toldOf("test_trigger_tool_change", "notifications/tools/list_changed");
}

async function leaving() {
  if (MODERN || !STREAMS) return;
  same(typeof transport.sessionId, "string", "there is a session");
  await transport.terminateSession();
  same(transport.sessionId, undefined, "the session is ended");
}

const reconnectionOptions = { initialReconnectionDelay: 50, maxReconnectionDelay: 200, reconnectionDelayGrowFactor: 2, maxRetries: 10 };
const [program, ...args] = JSON.parse(command ?? "[]");
const transport = command
  ? new Transport({ command: program, args, env: process.env })
  : new Transport(new URL(url), { requestInit, reconnectionOptions, fetch: noting });
// The first generation tells the revision to its transport only.
const { setProtocolVersion } = transport;
let agreed = undefined;
transport.setProtocolVersion = (version) => {
  agreed = version;
  setProtocolVersion?.call(transport, version);
};
client.onerror = (error) => told.errors.push(String(error));
let where = "connecting";
try {
  await client.connect(transport);
  same(client.getServerVersion()?.name, "mcpring-fixtures", "the server introduces itself");
  same(client.getInstructions(), "Everything here exists to be tested.", "and says what it is for");
  const spoken = client.getNegotiatedProtocolVersion?.() ?? agreed;
  same(spoken, REVISION, `revision ${spoken}`);
  if (!MODERN) await client.ping();
  for (const step of [tools, mistakes, resources, prompts, telling, questions, rounds, cancelling, changing, resuming, leaving]) {
    where = step.name;
    await step();
  }
  await client.close();
} catch (error) {
  console.error(`wrong: ${where}: ${error?.message ?? error} ${error?.cause?.message ?? ""}`);
  if (told.errors.length > 0) console.error(`the client noticed: ${told.errors.slice(-5).join("; ")}`);
  process.exit(1);
}
console.log(`content with ${passed} answers`);
process.exit(0);
