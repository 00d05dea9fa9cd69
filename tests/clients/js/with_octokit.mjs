// `@octokit/rest` with handles as its tokens: with_octokit.mjs BASE_URL HOST_URL ACME GLOBEX
import { Octokit } from "@octokit/rest";
import assert from "node:assert/strict";
import { told } from "./told.mjs";

const [base, host, acme, globex] = process.argv.slice(2);
const where = { owner: "team", repo: "app" };
for (const [handle, customer] of [[acme, "acme"], [globex, "globex"]]) {
  const repository = await new Octokit({ auth: handle, baseUrl: base }).rest.repos.get(where);
  assert.equal(repository.data.description, `What ${customer} sells`);
  const { rest, paginate } = new Octokit({ auth: handle, baseUrl: host });
  const issues = await paginate(rest.issues.listForRepo, { ...where, per_page: 1 });
  assert.deepEqual(issues.map((issue) => issue.title), [`Bug of ${customer}`, `Wish of ${customer}`]);
}
const { rest } = new Octokit({ auth: acme, baseUrl: base, log: { debug() {}, info() {}, warn() {}, error() {} } });
const said = await told(() => rest.issues.create({ ...where, title: "Another bug" }));
assert.equal(said, "insufficient_scope: issues:write required");
console.log("ok");
