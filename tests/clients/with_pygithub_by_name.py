"""`PyGithub` as it comes, where the API's own name leads to the gateway: with_pygithub_by_name.py PORT ACME GLOBEX"""
import sys

from github import Auth, Github, GithubException
from names import leads
from told import told

port, acme, globex = sys.argv[1:]
leads("api.github.com", port)

for handle, customer in [(acme, "acme"), (globex, "globex")]:
    repository = Github(auth=Auth.Token(handle), per_page=1).get_repo("team/app")
    issues = list(repository.get_issues())
    assert [issue.title for issue in issues] == [f"Bug of {customer}", f"Wish of {customer}"]
    assert repository.get_issue(7).title == f"Bug of {customer}"
    said = told(GithubException, lambda: issues[1].create_comment("Looking into it"))
    assert said.startswith("insufficient_scope: issues:write required: 403"), said
print("ok")
