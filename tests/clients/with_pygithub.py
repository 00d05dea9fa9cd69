"""`PyGithub` with handles as its tokens: with_pygithub.py BASE_URL HOST_URL ACME GLOBEX"""
import sys

from github import Auth, Github, GithubException
from told import told

base, host, acme, globex = sys.argv[1:]
for handle, customer in [(acme, "acme"), (globex, "globex")]:
    # Links in answers lead to GitHub; a lazy object never follows its own.
    github = Github(base_url=base, auth=Auth.Token(handle), lazy=True)
    repository = github.get_repo("team/app")
    assert repository.get_issue(7).title == f"Bug of {customer}"
    assert repository.description == f"What {customer} sells"
    github = Github(base_url=host, auth=Auth.Token(handle), per_page=1, lazy=True)
    issues = github.get_repo("team/app").get_issues()
    assert [issue.title for issue in issues] == [f"Bug of {customer}", f"Wish of {customer}"]

repository = Github(base_url=base, auth=Auth.Token(acme), lazy=True).get_repo("team/app")
said = told(GithubException, lambda: repository.create_issue(title="Another bug"))
assert said.startswith("insufficient_scope: issues:write required: 403"), said
print("ok")
