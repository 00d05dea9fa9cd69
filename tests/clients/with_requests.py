"""`requests` with handles as its bearer tokens: with_requests.py BASE_URL ACME GLOBEX"""
import sys

import requests

base, acme, globex = sys.argv[1:]


def session(handle):
    made = requests.Session()
    made.trust_env = False
    made.headers["Authorization"] = f"Bearer {handle}"
    return made


for handle, name in [(acme, "Nordwind renewal"), (globex, "Hooli expansion")]:
    read = session(handle).get(f"{base}/v1/opportunities/O-7", timeout=30)
    read.raise_for_status()
    assert read.json()["name"] == name, read.text

with session(acme) as client:
    written = client.patch(f"{base}/v1/opportunities/O-7", json={"stage": "Won"}, timeout=30)
    assert written.json()["stage"] == "Won", written.text

    streamed = client.put(f"{base}/v1/files/stream", data=(b"x" * 1000 for _ in range(50)), timeout=30)
    assert streamed.json()["bytes"] == 50_000, streamed.text

    refused = client.get(f"{base}/v1/accounts/A-1", timeout=30)
    assert refused.status_code == 403, refused.text
    problem = refused.json()
    assert problem["title"] == "insufficient_scope: accounts:read required", problem
    assert problem["upstream_called"] is False, problem

by_basic = requests.get(f"{base}/v1/opportunities/O-7", auth=(acme, ""), timeout=30)
assert by_basic.json()["stage"] == "Won", by_basic.text
print("ok")
