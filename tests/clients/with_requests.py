"""`requests` with a handle as its bearer token: with_requests.py BASE_URL HANDLE"""
import sys

import requests

base, handle = sys.argv[1:]
session = requests.Session()
session.trust_env = False
session.headers["Authorization"] = f"Bearer {handle}"

read = session.get(f"{base}/v1/opportunities/O-7", timeout=30)
read.raise_for_status()
assert read.json()["owner"] == "acme/user_1", read.text

written = session.patch(f"{base}/v1/opportunities/O-7", json={"stage": "Won"}, timeout=30)
assert written.json()["stage"] == "Won", written.text

streamed = session.put(f"{base}/v1/files/stream", data=(b"x" * 1000 for _ in range(50)), timeout=30)
assert streamed.json()["bytes"] == 50_000, streamed.text

by_basic = requests.get(f"{base}/v1/opportunities/O-7", auth=(handle, ""), timeout=30)
assert by_basic.status_code == 200, by_basic.text

refused = session.get(f"{base}/v1/accounts/A-1", timeout=30)
assert refused.status_code == 403, refused.text
problem = refused.json()
assert problem["title"] == "insufficient_scope: accounts:read required", problem
assert problem["upstream_called"] is False, problem
print("ok")
