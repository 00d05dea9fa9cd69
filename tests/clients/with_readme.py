"""Runs the README's own examples of agents' tools: with_readme.py langchain|crewai, where `SCOPEGATE_URL` is the gateway."""
import json
import re
import sys
from pathlib import Path

which = sys.argv[1]
blocks = re.findall(r"^```python\n(.*?)^```$", Path("README.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
[example] = [block for block in blocks if f"from {which}" in block]
shown = {}
exec(compile(example, f"README.md, {which}", "exec"), shown)


def refused(answer):
    problem = json.loads(answer)
    assert problem["title"] == "insufficient_scope: opportunities:write required", problem
    assert (problem["account"], problem["next_step"]) == ("user_123_researcher", "delegate"), problem


if which == "langchain":
    account = json.loads(shown["read_account"].invoke({"id": "001RO000003nGdCYAU"}))
    assert account["Name"] == "First of acme", account
    refused(shown["win_opportunity"].invoke({"id": "006RO000001pJxYYAU"}))
else:
    refused(shown["researcher"].run(id="006RO000001pJxYYAU"))
    assert shown["publisher"].run(id="006RO000001pJxYYAU") == "done"
print("ok")
