"""`jira` with handles as its tokens: with_jira.py BASE_URL ACME GLOBEX"""
import sys

from jira import JIRA, JIRAError
from told import told

base, acme, globex = sys.argv[1:]
clients = {}
for handle, customer in [(acme, "acme"), (globex, "globex")]:
    # It asks for `serverInfo` when it is made.
    clients[customer] = JIRA(server=base, token_auth=handle)
    assert clients[customer].issue("OPS-1").fields.summary == f"Trouble at {customer}"

said = told(JIRAError, lambda: clients["acme"].add_comment("OPS-1", "Looking into it"))
assert "text: insufficient_scope: issues:comment required" in said, said
print("ok")
