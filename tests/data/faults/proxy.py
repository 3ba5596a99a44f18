"""A proxy between a client and a blob store that does to its answers what networks and stores do."""

from __future__ import annotations

import http.client
import socket
import struct
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

Fault = Literal["reset", "stall", "truncate", "lie", "403", "404", "429", "500", "slow", "refuse", "drip"]
FAULTS: tuple[Fault, ...] = ("reset", "stall", "truncate", "lie", "403", "404", "429", "500", "slow", "refuse")
STALL = 100.0
"""Seconds for which a stalled answer says nothing and a dripping one little, unless the proxy is stopped before."""


class Proxy:
    """Forwards to the store on `port`. `plan` says for each request, by its number and path, what is to go wrong."""

    def __init__(self, port: int, plan: Callable[[int, str], Fault | None]) -> None:
        self.count = 0
        self.stopped = threading.Event()
        lock = threading.Lock()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                with lock:
                    proxy.count += 1
                    fault = plan(proxy.count, self.path)
                try:
                    self._answer(fault)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True

            do_HEAD = do_GET  # noqa: N815

            def _answer(self, fault: Fault | None) -> None:
                if fault == "refuse":
                    self._reset()
                    return
                if fault in ("403", "404", "429", "500"):
                    body = f"<?xml version='1.0'?><Error><Code>Fault{fault}</Code></Error>".encode()
                    self._head(int(fault), [("Content-Length", str(len(body)))])
                    self.wfile.write(body)
                    return
                status, headers, body = self._ask()
                half = body[: len(body) // 2]
                if fault == "lie":
                    headers = [(k, str(len(half)) if k.lower() == "content-length" else v) for k, v in headers]
                    body = half
                self._head(status, headers)
                if fault in ("reset", "stall", "truncate"):
                    self.wfile.write(half)
                    self.wfile.flush()
                    if fault == "stall":
                        proxy.stopped.wait(STALL)
                    if fault == "reset":
                        self._reset()
                    self.close_connection = True
                elif fault == "drip":
                    for at in range(len(body)):
                        self.wfile.write(body[at : at + 1])
                        self.wfile.flush()
                        if proxy.stopped.wait(0.05):
                            break
                elif fault == "slow":
                    for at in range(0, len(body), max(1, len(body) // 5)):
                        self.wfile.write(body[at : at + max(1, len(body) // 5)])
                        self.wfile.flush()
                        time.sleep(0.02)
                else:
                    self.wfile.write(body)

            def _ask(self) -> tuple[int, list[tuple[str, str]], bytes]:
                store = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
                store.request(self.command, self.path, headers=dict(self.headers.items()))
                answer = store.getresponse()
                body = answer.read()
                headers = [
                    (k, v) for k, v in answer.getheaders() if k.lower() not in ("connection", "transfer-encoding")
                ]
                if not any(k.lower() == "content-length" for k, _ in headers):
                    headers.append(("Content-Length", str(len(body))))
                store.close()
                return answer.status, headers, body

            def _head(self, status: int, headers: list[tuple[str, str]]) -> None:
                self.send_response_only(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.end_headers()

            def _reset(self) -> None:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.close_connection = True
                self.connection.close()

            def log_message(self, format: str, *args: Any) -> None:
                """Says nothing."""

            def finish(self) -> None:
                try:
                    super().finish()
                except (OSError, ValueError):
                    return  # reset by ourselves

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request: Any, client_address: Any) -> None:
                """A client that goes away is what these tests are about."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self.stopped.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
