// The MCP inspector's command line as a client of all it can do, against a server with the fixtures of src/tools/fixtures.
// Reads MCPRING_URL, MCPRING_CA and MCPRING_TOKEN, or MCPRING_COMMAND to talk to the standard streams of that; the argument is
// the era: legacy, modern or auto.
// Exits 0 only when every answer was right. Run it with the Node beside the inspector, in its folder.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import path from "node:path";

const era = process.argv[2];
const { MCPRING_URL: url, MCPRING_CA: authority, MCPRING_TOKEN: token, MCPRING_COMMAND: command } = process.env;
const cli = path.join(import.meta.dirname, "node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js");
const common = ["--cli", "--quiet", "--format", "json", "--protocol-era", era];
const transport = url.endsWith("/sse") ? "sse" : "http";
const at = ["--transport", transport, "--server-url", url, "--header", `Authorization: Bearer ${token}`];
// The words of a command would be taken for options of the inspector's.
const started = path.join(process.env.HOME, "started.json");
if (command) {
  const [program, ...args] = JSON.parse(command);
  writeFileSync(started, JSON.stringify({ mcpServers: { it: { command: program, args } } }));
}
const server = command ? ["--config", started, "--server", "it"] : at;

function inspect(method, ...rest) {
  const args = [cli, ...common, ...server, "--method", method, ...rest];
  const env = { ...process.env, NODE_EXTRA_CA_CERTS: authority };
  return spawnSync(process.execPath, args, { encoding: "utf8", timeout: 60_000, env });
}

function answer(method, ...rest) {
  const ran = inspect(method, ...rest);
  assert.equal(ran.status, 0, `${method} ${rest.join(" ")}: exit ${ran.status}: ${ran.stderr} ${ran.stdout}`);
  return JSON.parse(ran.stdout).result;
}

function same(got, wanted, what) {
  assert.deepEqual(got, wanted, what);
  console.log(`  ok: ${what}`);
}

function refused(complaint, what, method, ...rest) {
  const ran = inspect(method, ...rest);
  assert.ok(ran.status > 0, `${what}: exit ${ran.status}: ${ran.stdout}`);
  assert.match(`${ran.stderr} ${ran.stdout}`, complaint, what);
  console.log(`  ok: ${what}`);
}

const bytes = (base64) => {
  const decoded = Buffer.from(base64, "base64");
  return [decoded.length, decoded.toString("latin1", 0, 4)];
};
const PIXEL = [69, "\x89PNG"];
const call = (tool, args = {}) => answer("tools/call", "--tool-name", tool, "--tool-args-json", JSON.stringify(args));

function check() {
  const { tools } = answer("tools/list");
  const names = tools.map(({ name }) => name).filter((name) => name !== "test_dynamic_tool");
  same([names[0], names.length, new Set(names).size], ["test_simple_text", 37, 37], "tools are listed, each once");
  const text = { type: "text", text: "This is a simple text response for testing." };
  same(call("test_simple_text").content, [text], "a text");
  const [image] = call("test_image_content").content;
  same([image.type, image.mimeType, bytes(image.data)], ["image", "image/png", PIXEL], "an image");
  same(call("greet", { name: "Ada \u6f22" }).content, [{ type: "text", text: "Hello, Ada \u6f22!" }], "an argument");
  const weather = { celsius: 21.5, conditions: "clear", stations: ["north", "south"] };
  same(call("test_structured_content").structuredContent, weather, "a structured result");
  refused(/intentionally returns an error/, "a tool's own error", "tools/call", "--tool-name", "test_error_handling");

  const { resources } = answer("resources/list");
  const wanted = ["test://static-text", "test://static-binary", "test://watched-resource"];
  same(resources.map(({ uri }) => uri), wanted, "resources are listed");
  const { resourceTemplates } = answer("resources/templates/list");
  same(resourceTemplates.map(({ uriTemplate }) => uriTemplate), ["test://template/{id}/data"], "templates are listed");
  const [binary] = answer("resources/read", "--uri", "test://static-binary").contents;
  same([binary.mimeType, bytes(binary.blob)], ["image/png", PIXEL], "a binary resource");
  const [data] = answer("resources/read", "--uri", "test://template/4711/data").contents;
  same(JSON.parse(data.text).data, "Data for ID: 4711", "a resource of a template");
  refused(/no such resource|not found/i, "an unknown resource is refused", "resources/read", "--uri", "test://nowhere");

  const { prompts } = answer("prompts/list");
  same(prompts[1].arguments.map(({ name }) => name), ["arg1", "arg2"], "prompts are listed with their arguments");
  const filled = answer("prompts/get", "--prompt-name", "test_prompt_with_arguments", "--prompt-args", "arg1=one", "arg2=other");
  const said = "Prompt with arguments: arg1='one', arg2='other'";
  same(filled.messages, [{ role: "user", content: { type: "text", text: said } }], "a prompt with arguments");
}

try {
  check();
} catch (error) {
  console.error(`wrong: ${error.message}`);
  process.exit(1);
}
