// `@slack/web-api` with handles as its tokens: with_slack_web_api.mjs BASE_URL ACME GLOBEX
import { WebClient } from "@slack/web-api";
import assert from "node:assert/strict";
import { told } from "./told.mjs";

const [base, acme, globex] = process.argv.slice(2);
const client = (handle) => new WebClient(handle, { slackApiUrl: base });
for (const [handle, customer] of [[acme, "acme"], [globex, "globex"]]) {
  const { channels } = await client(handle).conversations.list();
  assert.deepEqual(channels.map((channel) => channel.name), [`${customer}-general`]);
}
const said = await told(() => client(acme).chat.postMessage({ channel: "C1", text: "hello" }));
assert.equal(said, "An API error occurred: insufficient_scope: chat:write required");
console.log("ok");
