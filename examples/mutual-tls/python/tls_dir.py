"""Contexts with key, certificate and CAs of $NOCREDS_TLS_DIR, made again after each renewal."""

import os
import ssl
import threading


class TlsDir:
    """For one side of TLS: ssl.PROTOCOL_TLS_SERVER or ssl.PROTOCOL_TLS_CLIENT."""

    def __init__(self, protocol, path=os.environ.get("NOCREDS_TLS_DIR", "")):
        self._protocol = protocol
        self._link = os.path.join(path, "..data")
        self._lock = threading.Lock()
        self._generation = self._context = None

    def context(self):
        """The current context, for the next connection; the one before if a file cannot be read."""
        with self._lock:
            try:
                # Resolved once, so that key and certificate are of one pair whatever happens meanwhile.
                generation = os.path.realpath(self._link)
                if generation != self._generation:
                    self._context = self._made(generation)
                    self._generation = generation
            except OSError:
                if self._context is None:
                    raise
            return self._context

    def _made(self, generation):
        context = ssl.SSLContext(self._protocol)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(os.path.join(generation, "ca.crt"))
        context.load_cert_chain(
            os.path.join(generation, "tls.crt"), os.path.join(generation, "tls.key")
        )
        return context


def id_of(certificate):
    """SPIFFE id from the result of getpeercert(), its one URI; None if it has none or several."""
    uris = [name for kind, name in certificate.get("subjectAltName", ()) if kind == "URI"]
    return uris[0] if len(uris) == 1 else None
