// Drives a real server with the public OpenAI client: node openai_test.mjs VARVE MAKE_TINY_MODEL [STORIES.gguf]
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import test, { after, before } from "node:test";
import OpenAI from "openai";
import { workshop } from "./serving.mjs";

const [varve, makeTinyModel, stories] = process.argv.slice(2);
const shop = workshop(varve);
const model = join(shop.folder, "tiny.gguf");
const key = shop.key;
const serve = (home, file) => shop.serve(home, ["--model", file, "--budget", "1GiB"]);

let alice, bob, base;
before(async () => {
  assert.equal(spawnSync(makeTinyModel, [model]).status, 0);
  const keys = [key("home", "alice"), key("home", "bob")];
  base = (await serve("home", model)).url;
  [alice, bob] = keys.map((apiKey) => new OpenAI({ apiKey, baseURL: base + "/v1", maxRetries: 0 }));
});
after(shop.close);

const hello = [{ role: "user", content: "Hello there" }];
const greedy = { model: "tiny", temperature: 0, max_tokens: 16, seed: 1 };

test("chat answers whole and streamed alike", async () => {
  const messages = [{ role: "system", content: "Be brief." }, ...hello];
  const options = { ...greedy, messages, varve: { remember: false, recall: false } };
  const whole = await alice.chat.completions.create(options);
  assert.equal(whole.choices[0].message.role, "assistant");
  assert.ok(whole.usage.prompt_tokens > 0 && whole.usage.completion_tokens <= 16);
  let text = "", finish, usage;
  for await (const chunk of await alice.chat.completions.create({ ...options, stream: true, stream_options: { include_usage: true } })) {
    text += chunk.choices[0]?.delta.content ?? "";
    finish = chunk.choices[0]?.finish_reason ?? finish;
    usage = chunk.usage ?? usage;
  }
  assert.equal(text, whole.choices[0].message.content);
  assert.equal(finish, whole.choices[0].finish_reason);
  assert.equal(usage.completion_tokens, whole.usage.completion_tokens);
});

test("seed, n, stop, logit_bias, logprobs and penalties do what they say", async () => {
  const options = { model: "tiny", messages: hello, temperature: 1, max_tokens: 12, seed: 7, varve: { remember: false } };
  const [one, two] = await Promise.all([alice.chat.completions.create(options), alice.chat.completions.create(options)]);
  assert.equal(one.choices[0].message.content, two.choices[0].message.content);
  const three = await alice.chat.completions.create({ ...options, n: 3 });
  assert.equal(three.choices.length, 3);

  const shown = await alice.chat.completions.create({ ...options, logprobs: true, top_logprobs: 3 });
  const content = shown.choices[0].logprobs.content;
  assert.equal(content.length, shown.usage.completion_tokens);
  for (const token of content) {
    assert.ok(token.logprob <= 0 && token.top_logprobs.length === 3);
    assert.ok(token.top_logprobs[0].logprob >= token.top_logprobs[2].logprob);
  }
  const forced = await alice.completions.create({ model: "tiny", prompt: "a", max_tokens: 4, temperature: 0, logit_bias: { 65: 100 }, logprobs: 0 });
  assert.equal(new Set(forced.choices[0].logprobs.tokens).size, 1);
  await alice.chat.completions.create({ ...options, frequency_penalty: 1.5, presence_penalty: -1, top_p: 0.5 });
});

test("a stop string ends the text before it", async () => {
  const whole = await alice.completions.create({ ...greedy, prompt: "Once", max_tokens: 24 });
  const text = whole.choices[0].text;
  const stop = text.slice(Math.floor(text.length / 2), Math.floor(text.length / 2) + 2);
  if (stop.length === 2 && !stop.includes("\ufffd")) {
    const cut = await alice.completions.create({ ...greedy, prompt: "Once", max_tokens: 24, stop: [stop] });
    assert.equal(cut.choices[0].text, text.slice(0, text.indexOf(stop)));
    assert.equal(cut.choices[0].finish_reason, "stop");
  }
});

test("response_format gives JSON, even from a model of random weights", async () => {
  const schema = { type: "object", properties: { name: { type: "string", maxLength: 8 }, age: { type: "integer", minimum: 0, maximum: 150 }, ok: { type: "boolean" } }, required: ["name", "age", "ok"], additionalProperties: false };
  const options = { ...greedy, messages: hello, temperature: 1, max_tokens: 200, varve: { remember: false } };
  const strict = await alice.chat.completions.create({ ...options, response_format: { type: "json_schema", json_schema: { name: "person", schema } } });
  const person = JSON.parse(strict.choices[0].message.content);
  assert.deepEqual(Object.keys(person), ["name", "age", "ok"]);
  assert.ok(person.age >= 0 && person.age <= 150 && typeof person.ok === "boolean");
});

test("tools: their results are read, their calls come back as calls, and a begun answer is gone on with", async () => {
  const tools = [{ type: "function", function: { name: "find", parameters: { type: "object", properties: {} } } }];
  const call = { id: "call_1", type: "function", function: { name: "find", arguments: "{}" } };
  const messages = [...hello, { role: "assistant", content: null, tool_calls: [call] }, { role: "tool", tool_call_id: "call_1", content: "found" }];
  const options = { ...greedy, messages, tools, varve: { remember: false } };
  assert.equal((await alice.chat.completions.create(options)).choices.length, 1);
  assert.equal((await alice.chat.completions.create({ ...options, messages: [...hello, { role: "assistant", content: "Well," }] })).choices.length, 1);
  // A schema makes even random weights call the tool.
  const schema = { type: "object", properties: { name: { const: "find" }, arguments: { type: "object", properties: {}, additionalProperties: false } }, required: ["name", "arguments"], additionalProperties: false };
  const forced = { ...greedy, messages: hello, tools, max_tokens: 200, varve: { remember: false }, response_format: { type: "json_schema", json_schema: { name: "call", schema } } };
  const whole = await alice.chat.completions.create(forced);
  assert.equal(whole.choices[0].finish_reason, "tool_calls", JSON.stringify(whole.choices));
  assert.deepEqual(whole.choices[0].message.tool_calls.map((one) => [one.type, one.function.name, one.function.arguments]), [["function", "find", "{}"]]);
  assert.equal(whole.choices[0].message.content, null);
  let calls = [], words = "", reason;
  for await (const chunk of await alice.chat.completions.create({ ...forced, stream: true })) {
    calls.push(...(chunk.choices[0]?.delta.tool_calls ?? []));
    words += chunk.choices[0]?.delta.content ?? "";
    reason = chunk.choices[0]?.finish_reason ?? reason;
  }
  assert.deepEqual([calls.length, calls[0]?.function.name, words, reason], [1, "find", "", "tool_calls"]);
  await assert.rejects(alice.chat.completions.create({ ...greedy, messages: [{ role: "assistant", content: "x" }] }), (error) => error.status === 400 && /user/.test(error.message));
});

test("embeddings are unit vectors, as floats and as base64", async () => {
  const reply = await alice.embeddings.create({ model: "tiny", input: ["one text", "another text"], encoding_format: "float" });
  assert.equal(reply.data.length, 2);
  const length = Math.hypot(...reply.data[0].embedding);
  assert.ok(Math.abs(length - 1) < 1e-4, `length ${length}`);
  const packed = await alice.embeddings.create({ model: "tiny", input: "one text" });
  packed.data[0].embedding.forEach((value, i) => assert.ok(Math.abs(value - reply.data[0].embedding[i]) < 1e-6));
});

test("models are listed and errors have OpenAI's shape", async () => {
  const models = await alice.models.list();
  assert.equal(models.data.length, 1);
  const refused = new OpenAI({ apiKey: "vk-wrong", baseURL: base + "/v1", maxRetries: 0 });
  await assert.rejects(refused.models.list(), (error) => error.status === 401);
  await assert.rejects(alice.chat.completions.create({ ...greedy, messages: hello, temperature: 9 }), (error) => error.status === 400 && /temperature/.test(error.message));
  const long = [{ role: "user", content: "word ".repeat(20000) }];
  await assert.rejects(alice.chat.completions.create({ ...greedy, messages: long }), (error) => error.status === 400 && /context/.test(error.message));
});

test("what one key's user said is recalled for that user alone", async () => {
  const say = (who, content) => who.chat.completions.create({ ...greedy, messages: [{ role: "user", content }] });
  await say(alice, "My sister Petronella plays the bassoon.");
  const asked = await alice.chat.completions.create({ ...greedy, messages: [{ role: "user", content: "Which instrument does Petronella play?" }] });
  assert.match(JSON.stringify(asked.varve.recalled), /bassoon/);
  const foreign = await say(bob, "Which instrument does Petronella play?");
  assert.doesNotMatch(JSON.stringify(foreign.varve), /bassoon/);
});

test("a conversation that goes on reuses its prefix", async () => {
  const messages = [{ role: "user", content: "Tell me something long about rivers and mountains and the sea." }];
  const first = await alice.chat.completions.create({ ...greedy, messages, varve: { recall: false, session: "rivers" } });
  messages.push(first.choices[0].message, { role: "user", content: "And then?" });
  const second = await alice.chat.completions.create({ ...greedy, messages, varve: { recall: false, session: "rivers" } });
  assert.ok(second.usage.prompt_tokens_details.cached_tokens >= 20, JSON.stringify(second.usage));
});

test("memories can be added, searched, updated and deleted", async () => {
  const added = await alice.post("/memories", { body: { text: "The spare key is under the blue pot." } });
  const found = await alice.post("/memories/search", { body: { query: "where is the spare key" } });
  assert.equal(found.data[0].id, added.id);
  await alice.put(`/memories/${added.id}`, { body: { text: "The spare key is in the drawer.", version: 1 } });
  const history = await alice.get(`/memories/${added.id}/history`);
  assert.equal(history.data.length, 2);
  await assert.rejects(bob.get(`/memories/${added.id}`), (error) => error.status === 404);
  const receipt = await alice.delete(`/memories/${added.id}`);
  assert.equal(receipt.erased[0].id, added.id);
  await assert.rejects(alice.get(`/memories/${added.id}`), (error) => error.status === 404);
});

test("a client that goes away in the middle leaves the server well", async () => {
  const stream = await alice.chat.completions.create({ ...greedy, messages: hello, max_tokens: 400, stream: true, varve: { remember: false } });
  for await (const _ of stream) break;
  stream.controller.abort();
  const after = await alice.chat.completions.create({ ...greedy, messages: hello, varve: { remember: false } });
  assert.equal(after.choices.length, 1);
});

test("a trained model tells its story, greedily and the same each way", { skip: !stories || !existsSync(stories) }, async () => {
  const apiKey = key("stories", "alice");
  const { url } = await serve("stories", stories);
  const client = new OpenAI({ apiKey, baseURL: url + "/v1", maxRetries: 0 });
  const options = { model: "stories", prompt: "Once upon a time", max_tokens: 60, temperature: 0 };
  const whole = (await client.completions.create(options)).choices[0].text;
  assert.match(whole, /there was a little girl named Lily/);
  let streamed = "";
  for await (const chunk of await client.completions.create({ ...options, stream: true })) streamed += chunk.choices[0]?.text ?? "";
  assert.equal(streamed, whole);
  const crowd = await Promise.all(Array.from({ length: 8 }, () => client.completions.create(options)));
  for (const one of crowd) assert.equal(one.choices[0].text, whole);
});
