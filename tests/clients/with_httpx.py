"""`httpx` with handles as its bearer tokens: with_httpx.py BASE_URL ACME GLOBEX"""
import sys

import httpx

base, acme, globex = sys.argv[1:]
for handle, name in [(acme, "Nordwind Traders"), (globex, "Hooli Logistics")]:
    with httpx.Client(base_url=base, headers={"Authorization": f"Bearer {handle}"}) as client:
        client.timeout = 60
        assert client.get("/v1/accounts/A-1").raise_for_status().json()["name"] == name
        refused = client.patch("/v1/opportunities/O-7", json={"stage": "Won"})
        assert refused.is_client_error, refused
        assert refused.json()["title"] == "insufficient_scope: opportunities:write required", refused.text
print("ok")
