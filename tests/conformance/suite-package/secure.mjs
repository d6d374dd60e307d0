// Preloaded into the suite, which knows neither TLS of a private authority nor credentials: gives every request to the
// server under test both. The suite talks through fetch, undici's request and node's http.request; all three are led here.
// Never: a request to anywhere but the server under test.
import { readFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import tls from "node:tls";
import { Agent, setGlobalDispatcher } from "undici";

const server = new URL(process.env.MCPRING_URL);
const ca = readFileSync(process.env.MCPRING_CA);
const authorization = `Bearer ${process.env.MCPRING_TOKEN}`;

// Headers are an object, a flat array of names and values, pairs, or whatever iterates as pairs.
function withToken(headers) {
  if (Array.isArray(headers) && headers.every((part) => !Array.isArray(part))) {
    return [...headers, "authorization", authorization];
  }
  const pairs = typeof headers?.[Symbol.iterator] === "function" ? [...headers] : Object.entries(headers ?? {});
  return Object.fromEntries([...pairs, ["authorization", authorization]]);
}

function isServer(origin) {
  return new URL(origin).host === server.host;
}

// A request with a foreign Host still goes to the server under test, so it is that name which the certificate must have.
const checkServerIdentity = (_, certificate) => tls.checkServerIdentity(server.hostname, certificate);
const agent = new Agent({ connect: { ca, checkServerIdentity } }).compose((dispatch) => (options, handler) => {
  if (!isServer(options.origin)) throw new Error(`the suite wants to reach ${options.origin}`);
  return dispatch({ ...options, headers: withToken(options.headers) }, handler);
});
setGlobalDispatcher(agent);

// `http.request` of the suite names a host and a port, never a scheme.
http.request = (options, answered) =>
  https.request({ ...options, ca, headers: { ...options.headers, Authorization: authorization } }, answered);
