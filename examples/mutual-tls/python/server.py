"""Answers the workloads that ALLOWED names: SPIFFE ids, separated by commas."""

import os
import ssl
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tls_dir import TlsDir, id_of

ALLOWED = os.environ.get("ALLOWED", "").split(",")
TLS = TlsDir(ssl.PROTOCOL_TLS_SERVER)


class Hello(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        peer = self.connection.getpeercert()
        who = id_of(peer)
        if not who or who not in ALLOWED:
            self.answer(403, "this workload is not allowed\n")
        else:
            self.answer(200, f"hello {who}, certificate {peer['serialNumber']}\n")

    def answer(self, status, text):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def finish_request(self, request, client_address):
        """In the connection's own thread, so that a slow handshake does not block others."""
        request.settimeout(60)
        with TLS.context().wrap_socket(request, server_side=True) as connection:
            self.RequestHandlerClass(connection, client_address, self)

    def handle_error(self, request, client_address):
        print(f"{client_address[0]}: {sys.exc_info()[1]}", file=sys.stderr)


TLS.context()  # fails at once if there is no certificate
Server(("", int(os.environ.get("PORT", "8443"))), Hello).serve_forever()
