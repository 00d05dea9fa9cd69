"""`slack_sdk` with handles as its tokens: with_slack_sdk.py BASE_URL ACME GLOBEX"""
import sys

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from told import told

base, acme, globex = sys.argv[1:]
for handle, customer in [(acme, "acme"), (globex, "globex")]:
    channels = WebClient(token=handle, base_url=base).conversations_list()["channels"]
    assert [channel["name"] for channel in channels] == [f"{customer}-general"], channels

said = told(SlackApiError, lambda: WebClient(token=acme, base_url=base).chat_postMessage(channel="C1", text="hello"))
assert "'error': 'insufficient_scope: chat:write required'" in said and "'needed': 'chat:write'" in said, said
print("ok")
