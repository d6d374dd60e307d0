// The MCP inspector's command line as a client of the server under test: lists and calls the demo tools.
// Reads MCPRING_URL, MCPRING_CA and MCPRING_TOKEN; the argument is the era: legacy, modern or auto.
// Exits 0 only when every answer was right. Run it with the Node beside the inspector, in its folder.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";

const era = process.argv[2];
const { MCPRING_URL: url, MCPRING_CA: authority, MCPRING_TOKEN: token } = process.env;
const cli = "node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js";
const common = ["--cli", "--quiet", "--format", "json", "--transport", "http", "--server-url", url];
const identity = ["--header", `Authorization: Bearer ${token}`, "--protocol-era", era];

function inspect(method, ...rest) {
  const args = [cli, ...common, ...identity, "--method", method, ...rest];
  const env = { ...process.env, NODE_EXTRA_CA_CERTS: authority };
  return spawnSync(process.execPath, args, { encoding: "utf8", timeout: 60_000, env });
}

function answer(method, ...rest) {
  const ran = inspect(method, ...rest);
  assert.equal(ran.status, 0, `${method} ${rest.join(" ")}: exit ${ran.status}: ${ran.stderr}`);
  return JSON.parse(ran.stdout).result;
}

function call(tool, args) {
  const { content, isError } = answer("tools/call", "--tool-name", tool, "--tool-args-json", JSON.stringify(args));
  assert.ok(!isError, `${tool} failed`);
  assert.deepEqual(content.map((block) => block.type), ["text"]);
  return content[0].text;
}

const { tools } = answer("tools/list", "--strict");
for (const name of ["echo", "time", "countdown"]) {
  const tool = tools.find((tool) => tool.name === name);
  assert.ok(tool?.description, `${name} is not listed with a description`);
  assert.equal(tool.inputSchema.type, "object");
}
console.log("  ok: the demo tools are listed");

for (const message of ["hello", 'quotes " and \\ and \n', "ä漢🦀"]) assert.equal(call("echo", { message }), message);
console.log("  ok: echo");

const told = call("time", {});
assert.match(told, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)$/);
assert.ok(Math.abs(Date.parse(told) - Date.now()) < 60_000, `time is wrong: ${told}`);
console.log("  ok: time");

assert.equal(call("countdown", { steps: 3, interval_ms: 20 }), "done");
console.log("  ok: countdown");

const missing = inspect("tools/call", "--tool-name", "echo", "--tool-args-json", "{}");
assert.ok(missing.status !== 0 || JSON.parse(missing.stdout).result.isError, "a missing argument was not refused");
assert.equal(missing.signal, null, "a missing argument was not answered");
console.log("  ok: a missing argument is refused");

const load = ["--load", "--load-requests", "200", "--load-concurrency", "8"];
const under = inspect("tools/call", "--tool-name", "echo", "--tool-args-json", '{"message":"load"}', ...load);
assert.equal(under.status, 0, `under load: exit ${under.status}: ${under.stdout} ${under.stderr}`);
const { ok, toolErrors, errors } = JSON.parse(under.stdout).result;
assert.deepEqual([ok, toolErrors, errors], [200, 0, 0]);
console.log("  ok: 200 calls, 8 at once");
