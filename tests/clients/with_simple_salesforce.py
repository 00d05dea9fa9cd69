"""`simple-salesforce` with handles as its sessions: with_simple_salesforce.py HOST/salesforce ACME GLOBEX"""
import sys

from simple_salesforce import Salesforce
from simple_salesforce.exceptions import SalesforceError
from told import told

base, acme, globex = sys.argv[1:]
for handle, customer in [(acme, "acme"), (globex, "globex")]:
    salesforce = Salesforce(instance=base, session_id=handle, version="60.0")
    found = salesforce.query_all("SELECT Id, Name FROM Account")
    assert [record["Name"] for record in found["records"]] == [f"First of {customer}", f"Second of {customer}"], found
    assert salesforce.Account.get("001RO000003nGdCYAU")["Name"] == f"First of {customer}"

salesforce = Salesforce(instance=base, session_id=acme, version="60.0")
said = told(SalesforceError, lambda: salesforce.Opportunity.update("006", {"StageName": "Closed Won"}))
assert "insufficient_scope: opportunities:write required" in said, said
print("ok")
