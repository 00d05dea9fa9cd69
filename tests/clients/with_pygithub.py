"""`PyGithub` with handles as its tokens: with_pygithub.py BASE_URL PORT ACME GLOBEX, where https://gate.example is at that port"""
import sys

from github import Auth, Github, GithubException
from names import leads
from told import told

base, port, acme, globex = sys.argv[1:]
leads("gate.example", port)
for handle, customer in [(acme, "acme"), (globex, "globex")]:
    github = Github(base_url=base, auth=Auth.Token(handle), lazy=True)
    repository = github.get_repo("team/app")
    assert repository.get_issue(7).title == f"Bug of {customer}"
    assert repository.description == f"What {customer} sells"
    # Once it was read, it builds its calls from GitHub's own links, and does not make them, since they lead elsewhere.
    assert told(AssertionError, lambda: repository.get_issue(7).title) == "api.github.com"
    github = Github(base_url="https://gate.example/github", auth=Auth.Token(handle), per_page=1, lazy=True)
    issues = github.get_repo("team/app").get_issues()
    assert [issue.title for issue in issues] == [f"Bug of {customer}", f"Wish of {customer}"]

repository = Github(base_url=base, auth=Auth.Token(acme), lazy=True).get_repo("team/app")
said = told(GithubException, lambda: repository.create_issue(title="Another bug"))
assert said.startswith("insufficient_scope: issues:write required: 403"), said
print("ok")
