"""`slack_sdk` with handles as its tokens: with_slack_sdk.py BASE_URL READER RESPONDER"""
import sys

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

base, reader, responder = sys.argv[1:]
assert WebClient(token=reader, base_url=base).conversations_list()["channels"][0]["name"] == "general"
posted = WebClient(token=responder, base_url=base).chat_postMessage(channel="C1", text="hello")
assert posted["message"]["text"] == "hello", posted

try:
    WebClient(token=reader, base_url=base).chat_postMessage(channel="C1", text="hello")
except SlackApiError as refused:
    assert refused.response["error"] == "insufficient_scope", refused.response
    assert refused.response["needed"] == "chat:write", refused.response
else:
    raise AssertionError("a reader must not post")
print("ok")
