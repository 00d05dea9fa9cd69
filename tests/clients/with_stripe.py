"""`stripe` with handles as its keys: with_stripe.py BASE_URL ACME GLOBEX"""
import sys

import stripe
from told import told

base, acme, globex = sys.argv[1:]


def client(handle):
    return stripe.StripeClient(handle, base_addresses={"api": base})


for handle, customer in [(acme, "acme"), (globex, "globex")]:
    found = client(handle).v1.customers.retrieve("cus_NffrFeUfNV2Hib")
    assert (found.object, found.email) == ("customer", f"billing@{customer}.example"), found
    charges = client(handle).v1.charges.list({"limit": 1}).auto_paging_iter()
    assert [charge.description for charge in charges] == [f"First of {customer}", f"Second of {customer}"]

said = told(stripe.PermissionError, lambda: client(acme).v1.refunds.create({"charge": "ch_1"}))
assert said == "insufficient_scope: refunds:write required", said
print("ok")
