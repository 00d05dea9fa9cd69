"""`google-api-python-client` with handles as its tokens: with_google_api_python_client.py BASE_URL ACME GLOBEX"""
import sys

from google.oauth2.credentials import Credentials
from googleapiclient.discovery import build
from googleapiclient.errors import HttpError
from told import told

base, acme, globex = sys.argv[1:]


def mailbox(handle):
    return build("gmail", "v1", credentials=Credentials(handle), client_options={"api_endpoint": base}).users()


for handle, customer in [(acme, "acme"), (globex, "globex")]:
    messages = mailbox(handle).messages()
    listed = messages.list(userId="me").execute()
    assert [message["id"] for message in listed["messages"]] == ["18c2f0a1", "18c2f0a2"], listed
    assert messages.get(userId="me", id="18c2f0a1").execute()["snippet"] == f"Dear {customer}"

said = told(HttpError, lambda: mailbox(acme).messages().send(userId="me", body={"raw": "SGVsbG8="}).execute())
assert 'returned "insufficient_scope: gmail.send required"' in said and "Blocked before reaching google-gmail" in said, said
print("ok")
