"""Calls SERVER, if it is the workload SERVER_ID, each EVERY_MS, and prints what it says."""

import os
import ssl
import time
from http.client import HTTPException, HTTPSConnection
from urllib.parse import urlsplit

from tls_dir import TlsDir, id_of

URL = urlsplit(os.environ.get("SERVER", "https://server.team-a.svc"))
SERVER_ID = os.environ.get("SERVER_ID", "spiffe://cluster.local/ns/team-a/sa/server")
EVERY_MS = int(os.environ.get("EVERY_MS", "1000"))
TLS = TlsDir(ssl.PROTOCOL_TLS_CLIENT)


def call():
    connection = HTTPSConnection(URL.hostname, URL.port, timeout=10, context=TLS.context())
    try:
        connection.connect()
        # Besides the name: each workload of team-a may have that one.
        who = id_of(connection.sock.getpeercert())
        if who != SERVER_ID:
            return f"failed: the certificate is of {who}, not of {SERVER_ID}"
        connection.request("GET", URL.path or "/")
        response = connection.getresponse()
        return f"{response.status} {response.read().decode().strip()}"
    except (OSError, HTTPException) as error:
        return f"failed: {error}"
    finally:
        connection.close()


while True:
    print(call(), flush=True)
    time.sleep(EVERY_MS / 1000)
