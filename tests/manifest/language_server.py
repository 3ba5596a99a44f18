"""A small client of the Language Server Protocol: enough to ask yaml-language-server what an editor would ask."""

from __future__ import annotations

import json
import queue
import subprocess
import threading
from pathlib import Path
from typing import Any, Self

WAIT = 60


class LanguageServer:
    """yaml-language-server over its standard input and output, with one JSON Schema for every YAML file."""

    folder = Path("/project")

    def __init__(self, command: Path, schema: Path) -> None:
        self.settings = {
            "yaml": {
                "schemas": {schema.as_uri(): ["*.yaml"]},
                "validate": True,
                "hover": True,
                "completion": True,
                "schemaStore": {"enable": False},
            }
        }
        self.process = subprocess.Popen(
            [str(command), "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self.answers: queue.Queue[dict[str, Any]] = queue.Queue()
        self.diagnostics: dict[str, queue.Queue[list[dict[str, Any]]]] = {}
        self.number = 0
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        self.ask(
            "initialize", {"processId": None, "rootUri": None, "capabilities": {"workspace": {"configuration": True}}}
        )
        self.tell("initialized", {})
        self.tell("workspace/didChangeConfiguration", {"settings": self.settings})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(WAIT)
        self.reader.join(WAIT)
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()

    def open(self, name: str, text: str) -> list[dict[str, Any]]:
        """The diagnostics of a new document."""
        uri = f"file://{self.folder}/{name}"
        self.diagnostics[uri] = queue.Queue()
        document = {"uri": uri, "languageId": "yaml", "version": 1, "text": text}
        self.tell("textDocument/didOpen", {"textDocument": document})
        return self.diagnostics[uri].get(timeout=WAIT)

    def at(self, method: str, name: str, line: int, character: int) -> Any:
        """The answer to a question about a place; line and character count from 0."""
        place = {"line": line, "character": character}
        return self.ask(
            f"textDocument/{method}", {"textDocument": {"uri": f"file://{self.folder}/{name}"}, "position": place}
        )

    def ask(self, method: str, parameters: dict[str, Any]) -> Any:
        self.number += 1
        self._send({"id": self.number, "method": method, "params": parameters})
        answer = self.answers.get(timeout=WAIT)
        assert answer["id"] == self.number
        assert "error" not in answer, answer
        return answer["result"]

    def tell(self, method: str, parameters: dict[str, Any]) -> None:
        self._send({"method": method, "params": parameters})

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self.process.stdin is not None
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self.process.stdin.flush()

    def _read(self) -> None:
        assert self.process.stdout is not None
        while header := self.process.stdout.readline():
            length = int(header.split(b":")[1])
            while self.process.stdout.readline().strip():
                pass
            message = json.loads(self.process.stdout.read(length))
            match message:
                case {"method": "textDocument/publishDiagnostics", "params": {"uri": uri, "diagnostics": found}}:
                    self.diagnostics[uri].put(found)
                case {"method": "workspace/configuration", "id": number, "params": {"items": items}}:
                    self._send({"id": number, "result": [self.settings.get(item.get("section")) for item in items]})
                case {"method": _, "id": number}:
                    self._send({"id": number, "result": None})
                case {"id": _}:
                    self.answers.put(message)
