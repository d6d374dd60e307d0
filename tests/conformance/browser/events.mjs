// A browser's EventSource as a reader of the server's events: headless Chromium, on a page of the server's own origin.
// Reads MCPRING_URL, the origin of the page, MCPRING_STRANGER, another origin of the same server, MCPRING_CUT (a port: to connect
// to it cuts every connection that is open) and HOME. Exits 0 only when every event was right.
import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import path from "node:path";
import { chromium } from "playwright-core";

const { MCPRING_URL: url, MCPRING_STRANGER: stranger, MCPRING_CUT: cutPort, HOME: home } = process.env;
const PATIENCE = 10_000;
// What it would else ask of the world when it starts.
const QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const WATCHED = "test://watched-resource";
const updated = { jsonrpc: "2.0", method: "notifications/resources/updated", params: { uri: WATCHED } };

function same(got, wanted, what) {
  assert.deepEqual(got, wanted, what);
  console.log(`  ok: ${what}`);
}

// The server has no page: what stands at any path is its refusal, whose policy lets a document do nothing.
async function at(context, origin) {
  const page = await context.newPage();
  const answer = await page.goto(`${origin}/no-page`);
  same([answer.status(), answer.headers()["content-security-policy"]?.includes("default-src 'none'")], [404, true], `no page at ${origin === url ? "the" : "another"} origin`);
  return page;
}

// Opens a source whose messages are kept in the page.
const open = (page, source) =>
  page.evaluate((source) => {
    window.told = [];
    window.states = [];
    window.source = new EventSource(source);
    window.source.onmessage = ({ data, lastEventId }) => window.told.push({ told: JSON.parse(data), id: lastEventId });
    window.source.onopen = () => window.states.push("open");
    window.source.onerror = () => window.states.push(window.source.readyState === EventSource.CLOSED ? "closed" : "lost");
  }, source);

async function messages(page, count) {
  await page.waitForFunction((count) => window.told.length >= count, count, { timeout: PATIENCE });
  return page.evaluate(() => window.told);
}

// Calls a tool from the page, and gives the status: the browser adds the page's origin.
const call = (page, name) =>
  page.evaluate(async (name) => {
    const _meta = { "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientInfo": { name: "page", version: "1" }, "io.modelcontextprotocol/clientCapabilities": {} };
    const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params: { name, arguments: {}, _meta } });
    const headers = { "Content-Type": "application/json", Accept: "application/json, text/event-stream", "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": name };
    return (await fetch("/mcp", { method: "POST", headers, body })).status;
  }, name);

async function cut() {
  const socket = net.connect(Number(cutPort), "127.0.0.1");
  await once(socket, "close");
}

async function check(browser) {
  const page = await at(await browser.newContext(), url);
  await open(page, "/events");
  await page.waitForFunction(() => window.states.length > 0, undefined, { timeout: PATIENCE });
  same(await page.evaluate(() => window.states), ["closed"], "the policy of a refusal keeps its document from the events");

  // From here on as if the page were one of the operator's.
  const context = await browser.newContext({ bypassCSP: true });
  const own = await at(context, url);
  await open(own, "/events");
  const [first] = await messages(own, 1);
  same([first.told, first.id !== ""], [{ type: "connected" }, true], "the first event says that it is connected");
  same(await call(own, "test_trigger_resource_update"), 200, "a page of an origin that is allowed may call a tool");
  const [, second] = await messages(own, 2);
  same([second.told, second.id !== first.id], [updated, true], "a change is told");

  await own.evaluate(() => (window.states = []));
  await cut();
  same(await call(own, "test_trigger_tool_change"), 200, "a change while the browser is away, or just back");
  const told = await messages(own, 3);
  same(told.slice(2).map(({ told }) => told.method), ["notifications/tools/list_changed"], "it is told once the browser has come back by itself");
  same(await own.evaluate(() => window.states), ["lost", "open"], "which noticed that it was away");
  same(new Set(told.map(({ id }) => id)).size, 3, "every event has an id of its own");

  const strange = await at(context, stranger);
  same(await call(strange, "test_trigger_resource_update"), 403, "a page of another origin may not call a tool");
  await open(strange, `${url}/events`);
  await strange.waitForFunction(() => window.states.length > 0, undefined, { timeout: PATIENCE });
  same(await strange.evaluate(() => [window.states, window.told]), [["closed"], []], "nor read the events of this one");
}

const options = { executablePath: "/usr/bin/chromium", args: QUIET };
const browser = await chromium.launch({ ...options, env: { ...process.env, XDG_CONFIG_HOME: path.join(home, "config") } });
let wrong = undefined;
try {
  await check(browser);
} catch (error) {
  wrong = error;
}
await browser.close();
if (wrong) console.error(`wrong: ${wrong.message}`);
process.exit(wrong ? 1 : 0);
