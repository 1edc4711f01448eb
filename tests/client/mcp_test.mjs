// Drives Varve with the official MCP client, over stdio and over HTTP: node mcp_test.mjs VARVE
import assert from "node:assert/strict";
import { join } from "node:path";
import test, { after, before } from "node:test";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { LoggingMessageNotificationSchema } from "@modelcontextprotocol/sdk/types.js";
import { workshop } from "./serving.mjs";

const [varve] = process.argv.slice(2);
const shop = workshop(varve);
const clients = [];
let url, alice, bob, reader;

async function connect(transport) {
  const client = new Client({ name: "varve-test", version: "1" });
  await client.connect(transport);
  clients.push(client);
  return client;
}
const overHttp = (key) => new StreamableHTTPClientTransport(new URL(url + "/mcp"), { requestInit: { headers: { Authorization: `Bearer ${key}` } } });
const overStdio = (home, ...more) => new StdioClientTransport({ command: varve, args: ["mcp", "--home", join(shop.folder, home), ...more], stderr: "pipe" });

before(async () => {
  [alice, bob] = [shop.key("home", "alice"), shop.key("home", "bob")];
  reader = shop.key("home", "rita", "read");
  url = (await shop.serve("home", [])).url;
});
after(async () => {
  for (const client of clients) await client.close();
  shop.close();
});

async function call(client, name, args) {
  const result = await client.callTool({ name, arguments: args });
  if (!result.isError) assert.deepEqual(JSON.parse(result.content[0].text), result.structuredContent);
  return result;
}
const told = async (client, name, args) => (await call(client, name, args)).structuredContent;
const refused = async (client, name, args) => {
  const result = await call(client, name, args);
  assert.equal(result.isError, true, JSON.stringify(result));
  return result.content[0].text;
};

// Everything that a client may do, whatever carries it.
async function everything(client) {
  assert.equal(client.getServerVersion().name, "varve");
  assert.match(client.getInstructions(), /recall/);
  await client.ping();
  const { tools } = await client.listTools();  // from here the client checks results against their schemas
  assert.deepEqual(tools.map((tool) => tool.name).sort(), ["capture", "conflicts", "diff", "explain", "forget", "history", "list_spaces", "recall", "remember", "restore", "settle", "update"]);
  for (const tool of tools) assert.ok(tool.description.length > 40 && tool.inputSchema.type === "object", tool.name);

  const made = await told(client, "remember", { text: "The spare key is under the blue pot.", event_at: "2024-05-08" });
  assert.equal(made.event_at, "2024-05-08T00:00:00Z");
  assert.equal(made.trust, "model");
  const found = await told(client, "recall", { query: "where is the spare key?" });
  assert.equal(found.memories[0].id, made.id);
  assert.match(found.memories[0].text, /blue pot/);
  const explained = await told(client, "explain", { query: "where is the spare key?" });
  assert.ok(Object.keys(explained.memories[0].scores).length > 0);

  const updated = await told(client, "update", { id: made.id, text: "The spare key is in the drawer.", version: 1, why: "moved" });
  assert.equal(updated.version, 2);
  const stale = await refused(client, "update", { id: made.id, text: "The spare key is gone.", version: 1 });
  assert.match(stale, /version 2.*in the drawer/s);
  const { versions } = await told(client, "history", { id: made.id });
  assert.deepEqual(versions.map((one) => one.version), [1, 2]);

  const { parts } = await told(client, "diff", { id: made.id });
  assert.ok(parts.some((one) => one.kind === "added" && /drawer/.test(one.text)));
  assert.equal((await told(client, "restore", { id: made.id, version: 1 })).version, 3);
  assert.match(await refused(client, "restore", { id: made.id, version: 1, base: 2 }), /version 3.*blue pot/s);
  await told(client, "restore", { id: made.id, version: 2 });
  const rival = await told(client, "remember", { text: "The spare key is with the neighbour.", contradicts: [made.id] });
  const { conflicts } = await told(client, "conflicts", {});
  assert.deepEqual(conflicts.map((one) => [one.newer.id, one.older.id]), [[rival.id, made.id]]);
  await told(client, "settle", { newer: rival.id, older: made.id, verdict: "older" });
  assert.deepEqual((await told(client, "conflicts", {})).conflicts, []);
  await told(client, "forget", { id: rival.id });

  const { spaces } = await told(client, "list_spaces", {});
  assert.ok(spaces.some((one) => one.own));
  const { resources } = await client.listResources();
  assert.ok(resources.some((one) => one.uri === `varve://memory/${made.id}`));
  const read = await client.readResource({ uri: `varve://memory/${made.id}` });
  assert.equal(read.contents[0].text, "The spare key is in the drawer.");
  assert.equal((await client.listResourceTemplates()).resourceTemplates.length, 1);

  const receipt = await told(client, "forget", { id: made.id });
  assert.equal(receipt.erased[0].id, made.id);
  assert.match(await refused(client, "forget", { id: made.id }), /not found/);

  assert.match(await refused(client, "remember", { text: "x", event_at: "2023-02-30" }), /event_at/);
  assert.match(await refused(client, "remember", { text: " \n" }), /text/);
  assert.match(await refused(client, "recall", { query: "x", limit: 1e9 }), /limit/);
  assert.match(await refused(client, "recall", { quarry: "x" }), /query, limit/);
  assert.match(await refused(client, "remember", { text: "x", space: "../other" }), /space/);
  await assert.rejects(client.callTool({ name: "rm" }), (error) => error.code === -32602);
  await assert.rejects(client.readResource({ uri: "file:///etc/passwd" }), (error) => error.code === -32002);

  const heard = [];
  client.setNotificationHandler(LoggingMessageNotificationSchema, (note) => heard.push(note.params.level));
  await client.setLoggingLevel("warning");
  await refused(client, "recall", { query: "" });
  assert.deepEqual(heard, ["warning"]);
}

test("over stdio", async () => everything(await connect(overStdio("stdio"))));
test("over stdio, for a server that has the home", async () => {
  await everything(await connect(new StdioClientTransport({ command: varve, args: ["mcp", "--server", url, "--key", alice], stderr: "pipe" })));
});
test("over stdio, a server that is gone, began anew, or does not know the key, is told as an error", async () => {
  const bridge = (address, key) => connect(new StdioClientTransport({ command: varve, args: ["mcp", "--server", address, "--key", key], stderr: "pipe" }));
  await assert.rejects(bridge(url, "vk-wrong"), /key/);
  await assert.rejects(bridge("http://127.0.0.1:9", alice), /no server answers/);
  const [key, first] = [shop.key("again", "alice"), await shop.serve("again", [])];
  const client = await bridge(first.url, key);
  await told(client, "remember", { text: "The ladder is in the shed." });
  first.child.removeAllListeners("exit");
  const gone = new Promise((resolve) => first.child.on("exit", resolve));
  first.child.kill("SIGTERM");
  await gone;
  await assert.rejects(client.ping(), /no server answers/);
  await shop.serve("again", ["--port", new URL(first.url).port]);
  assert.equal((await told(client, "recall", { query: "where is the ladder?" })).memories.length, 1);
});
test("over HTTP", async () => everything(await connect(overHttp(alice))));

test("stdio without the right to write offers what changes nothing", async () => {
  const client = await connect(overStdio("reading", "--read-only"));
  const { tools } = await client.listTools();
  assert.ok(!tools.some((tool) => ["remember", "forget", "update"].includes(tool.name)));
});

test("keys see their own space alone, and no foreign session", async () => {
  const [hers, his] = [await connect(overHttp(alice)), await connect(overHttp(bob))];
  const made = await told(hers, "remember", { text: "The code of the safe is 4711." });
  assert.deepEqual((await told(his, "recall", { query: "code of the safe" })).memories, []);
  const foreign = await refused(his, "history", { id: made.id });
  const unknown = await refused(his, "history", { id: made.id.replace(/.$/, (c) => (c === "0" ? "1" : "0")) });
  assert.equal(foreign.replace(made.id, ""), unknown.replace(/[0-9a-f]{32}/, ""));
  assert.match(await refused(his, "remember", { text: "x", space: "alice" }), /not found|denied/);
  const session = hers.transport.sessionId;
  const stolen = await post({ jsonrpc: "2.0", id: 1, method: "ping" }, { "Mcp-Session-Id": session }, bob);
  assert.equal(stolen.status, 404);
  const reading = await connect(overHttp(reader));
  assert.match(await refused(reading, "remember", { text: "x" }), /denied/);
});

const post = (message, headers = {}, key = alice) =>
  fetch(url + "/mcp", {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "application/json, text/event-stream", Authorization: `Bearer ${key}`, ...headers },
    body: typeof message === "string" ? message : JSON.stringify(message),
  });
const hello = (protocolVersion) => ({ jsonrpc: "2.0", id: 1, method: "initialize", params: { protocolVersion, capabilities: {}, clientInfo: { name: "raw", version: "1" } } });

test("the protocol version is agreed, and batches belong to the older ones", async () => {
  for (const [wanted, given] of [["2024-11-05", "2024-11-05"], ["2025-03-26", "2025-03-26"], ["2025-06-18", "2025-06-18"], ["2099-01-01", "2025-06-18"]]) {
    const reply = await post(hello(wanted));
    assert.equal((await reply.json()).result.protocolVersion, given);
    const session = { "Mcp-Session-Id": reply.headers.get("mcp-session-id") };
    const batch = await (await post([{ jsonrpc: "2.0", id: 2, method: "ping" }, { jsonrpc: "2.0", method: "notifications/initialized" }, { jsonrpc: "2.0", id: "three", method: "no/such" }], session)).json();
    if (given === "2025-06-18") assert.equal(batch.error.code, -32600);
    else assert.deepEqual(batch.map((one) => one.error?.code ?? 0), [0, -32601]);
  }
});

test("HTTP says what the protocol wants it to", async () => {
  const begun = await post(hello("2025-06-18"));
  const session = { "Mcp-Session-Id": begun.headers.get("mcp-session-id") };
  assert.match(session["Mcp-Session-Id"], /^[\x21-\x7e]{32,}$/);
  const ping = { jsonrpc: "2.0", id: 7, method: "ping" };
  assert.equal((await post({ jsonrpc: "2.0", method: "notifications/initialized" }, session)).status, 202);
  assert.equal((await post({ jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: 7 } }, session)).status, 202);
  assert.deepEqual(await (await post(ping, session)).json(), { jsonrpc: "2.0", id: 7, result: {} });
  const stream = await post(ping, { ...session, Accept: "text/event-stream" });
  assert.equal(stream.headers.get("content-type"), "text/event-stream");
  assert.match(await stream.text(), /^event: message\ndata: \{.*\}\n\n$/);
  assert.equal((await post(ping)).status, 400);
  assert.equal((await post(ping, { "Mcp-Session-Id": "0".repeat(64) })).status, 404);
  assert.equal((await post(ping, { ...session, "MCP-Protocol-Version": "1999-01-01" })).status, 400);
  assert.equal((await post(ping, { ...session, Accept: "image/png" })).status, 406);
  assert.equal((await post(ping, { ...session, Origin: "https://evil.example" })).status, 403);
  assert.equal((await post(ping, session, "vk-wrong")).status, 401);
  assert.equal((await post("{", session)).status, 400);
  const auth = { Authorization: `Bearer ${alice}` };
  assert.equal((await fetch(url + "/mcp", { headers: { ...auth, ...session, Accept: "text/event-stream" } })).status, 405);
  assert.equal((await fetch(url + "/mcp", { method: "DELETE", headers: { ...auth, ...session } })).status, 204);
  assert.equal((await post(ping, session)).status, 404);
});

test("malformed messages are answered by their error, whatever they hold", async () => {
  const begun = await post(hello("2025-06-18"));
  const session = { "Mcp-Session-Id": begun.headers.get("mcp-session-id") };
  for (const [message, code] of [
    [{ id: 1, method: "ping" }, -32600], [{ jsonrpc: "2.0", id: null, method: "ping" }, -32600], [{ jsonrpc: "2.0", id: {}, method: "ping" }, -32600],
    [{ jsonrpc: "2.0", id: 1, method: 5 }, -32600], [{ jsonrpc: "2.0", id: 1, method: "ping", params: [] }, -32602], [3, -32600], [null, -32600], ["[]", -32600],
    [{ jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: "recall", arguments: 5 } }, -32602], [{ jsonrpc: "2.0", id: 1, method: "tools/list", params: { cursor: "x" } }, -32602],
    [{ jsonrpc: "2.0", id: 1, method: "initialize", params: {} }, undefined], ["[".repeat(100000), -32700], ['{"a":1,"a":2}', -32700], ["\ufffe", -32700],
  ]) {
    const reply = await (await post(message, session)).json();
    if (code) assert.equal(reply.error?.code, code, JSON.stringify(message).slice(0, 80));
    else assert.ok(reply.error);
  }
});
