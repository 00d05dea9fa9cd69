// `@notionhq/client` with handles as its tokens: with_notion_client.mjs BASE_URL ACME GLOBEX
import { Client, LogLevel } from "@notionhq/client";
import assert from "node:assert/strict";
import { told } from "./told.mjs";

const [base, acme, globex] = process.argv.slice(2);
const page_id = "59833787-2cf9-4fdf-8782-e53db20768a5";
for (const [handle, customer] of [[acme, "acme"], [globex, "globex"]]) {
  const page = await new Client({ auth: handle, baseUrl: base }).pages.retrieve({ page_id });
  assert.equal(page.properties.title.title[0].plain_text, `Plan of ${customer}`);
}
const quiet = new Client({ auth: acme, baseUrl: base, logLevel: LogLevel.ERROR });
assert.equal(await told(() => quiet.pages.update({ page_id, in_trash: true })), "insufficient_scope: content:update required");
console.log("ok");
