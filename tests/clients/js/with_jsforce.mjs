// `jsforce` with handles as its access tokens: with_jsforce.mjs BASE_URL ACME GLOBEX
import jsforce from "jsforce";
import assert from "node:assert/strict";
import { told } from "./told.mjs";

const [base, acme, globex] = process.argv.slice(2);
const connect = (handle) => new jsforce.Connection({ instanceUrl: base, accessToken: handle, version: "60.0" });
for (const [handle, customer] of [[acme, "acme"], [globex, "globex"]]) {
  const connection = connect(handle);
  const found = await connection.query("SELECT Id, Name FROM Account", { autoFetch: true });
  assert.deepEqual(found.records.map((record) => record.Name), [`First of ${customer}`, `Second of ${customer}`]);
  assert.equal((await connection.sobject("Account").retrieve("001RO000003nGdCYAU")).Name, `First of ${customer}`);
}
const said = await told(() => connect(acme).sobject("Opportunity").update({ Id: "006", StageName: "Closed Won" }));
assert.equal(JSON.parse(said).title, "insufficient_scope: opportunities:write required", said);
console.log("ok");
