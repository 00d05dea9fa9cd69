"""`notion-client` with handles as its tokens: with_notion_client.py BASE_URL ACME GLOBEX"""
import sys

from notion_client import APIResponseError, Client
from told import told

base, acme, globex = sys.argv[1:]
PAGE = "59833787-2cf9-4fdf-8782-e53db20768a5"
for handle, customer in [(acme, "acme"), (globex, "globex")]:
    page = Client(auth=handle, base_url=base).pages.retrieve(PAGE)
    assert page["properties"]["title"]["title"][0]["plain_text"] == f"Plan of {customer}", page

said = told(APIResponseError, lambda: Client(auth=acme, base_url=base).pages.update(PAGE, in_trash=True))
assert said == "insufficient_scope: content:update required", said
print("ok")
