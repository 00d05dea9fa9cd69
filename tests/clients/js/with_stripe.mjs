// `stripe` with handles as its keys: with_stripe.mjs HOST PORT ACME GLOBEX
import assert from "node:assert/strict";
import Stripe from "stripe";
import { told } from "./told.mjs";

const [host, port, acme, globex] = process.argv.slice(2);
const client = (handle) => new Stripe(handle, { host, port, protocol: "http" });
for (const [handle, customer] of [[acme, "acme"], [globex, "globex"]]) {
  const found = await client(handle).customers.retrieve("cus_NffrFeUfNV2Hib");
  assert.deepEqual([found.object, found.email], ["customer", `billing@${customer}.example`]);
  const charges = await client(handle).charges.list({ limit: 1 }).autoPagingToArray({ limit: 10 });
  assert.deepEqual(charges.map((charge) => charge.description), [`First of ${customer}`, `Second of ${customer}`]);
}
const said = await told(() => client(acme).refunds.create({ charge: "ch_1" }));
assert.equal(said, "insufficient_scope: refunds:write required");
console.log("ok");
