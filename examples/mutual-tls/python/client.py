"""Calls SERVER each EVERY_MS, and prints what it says."""

import os
import ssl
import time
import urllib.error
import urllib.request

from tls_dir import TlsDir

URL = os.environ.get("SERVER", "https://server.team-a.svc")
EVERY_MS = int(os.environ.get("EVERY_MS", "1000"))
TLS = TlsDir(ssl.PROTOCOL_TLS_CLIENT)


def call():
    try:
        with urllib.request.urlopen(URL, timeout=10, context=TLS.context()) as response:
            return f"{response.status} {response.read().decode().strip()}"
    except urllib.error.HTTPError as error:
        return f"{error.code} {error.read().decode().strip()}"
    except OSError as error:
        return f"failed: {error}"


while True:
    print(call(), flush=True)
    time.sleep(EVERY_MS / 1000)
