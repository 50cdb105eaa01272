"""A network that can be broken: a TCP proxy on loopback which cuts, refuses or holds what passes through it.

It runs in a process of its own, because some calls of delta-rs keep Python's lock while they wait for an answer.
"""

import contextlib
import json
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_RESET = struct.pack("ii", 1, 0)


@contextlib.contextmanager
def proxied(port: int) -> Iterator["Proxy"]:
    """A proxy before `port`, gone afterwards."""
    command = [sys.executable, str(Path(__file__)), str(port)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        proxy = Proxy(process)
        try:
            proxy.allow()
            yield proxy
        finally:
            assert process.stdin is not None
            process.stdin.close()  # which ends it


class Proxy:
    """Passes everything until told otherwise."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.port: int = self._ask("address")

    def allow(self) -> None:
        """The network is as it should be."""
        self._ask("allow")

    def refuse(self) -> None:
        """Open connections are reset and new ones refused."""
        self._ask("refuse")

    def hold(self) -> None:
        """Connections are accepted and nothing passes."""
        self._ask("hold")

    def cut_after(self, *, sent: int | None = None, answered: int | None = None) -> None:
        """Refuse once so many more bytes went to the server (`sent`) or came back (`answered`)."""
        self._ask("cut_after", sent=sent, answered=answered)

    @property
    def passed(self) -> dict[str, int]:
        """Bytes `sent` and `answered` since the start, and how often `cut_after` has `cut`."""
        return self._ask("counts")

    def _ask(self, order: str, **arguments: int | None) -> Any:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps([order, arguments]) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


class _Network:
    """What runs in the process."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._lock = threading.RLock()
        self._listener: socket.socket | None = None
        self._open: set[socket.socket] = set()
        self._limits: dict[str, int] = {}
        self._flowing = threading.Event()
        self._counts = {"sent": 0, "answered": 0, "cut": 0}
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port: int = probe.getsockname()[1]

    def address(self) -> int:
        return self._port

    def counts(self) -> dict[str, int]:
        return self._counts

    def allow(self) -> None:
        with self._lock:
            self._limits.clear()
            self._flowing.set()
            if self._listener is None:
                self._listener = socket.create_server(("127.0.0.1", self._port), backlog=100)
                threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def refuse(self) -> None:
        with self._lock:
            self._flowing.set()
            if self._listener is not None:
                with contextlib.suppress(OSError):
                    self._listener.shutdown(socket.SHUT_RDWR)
                self._listener.close()
                self._listener = None
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                    connection.shutdown(socket.SHUT_RDWR)
            self._open.clear()

    def hold(self) -> None:
        self._flowing.clear()

    def cut_after(self, sent: int | None, answered: int | None) -> None:
        with self._lock:
            for direction, more in (("sent", sent), ("answered", answered)):
                if more is not None:
                    self._limits[direction] = self._counts[direction] + more

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                client.close()
                continue
            with self._lock:
                self._open |= {client, server}
            for source, sink, direction in ((client, server, "sent"), (server, client, "answered")):
                threading.Thread(target=self._pump, args=(source, sink, direction), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, direction: str) -> None:
        with contextlib.suppress(OSError):
            while chunk := source.recv(16_384):
                self._flowing.wait()
                sink.sendall(self._within_limit(chunk, direction))
        for connection in (source, sink):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
            with self._lock:
                self._open.discard(connection)

    def _within_limit(self, chunk: bytes, direction: str) -> bytes:
        """The part of the chunk that may pass; the network ends with it."""
        with self._lock:
            left = self._limits.get(direction, self._counts[direction] + len(chunk)) - self._counts[direction]
            self._counts[direction] += min(left, len(chunk))
            if left >= len(chunk):
                return chunk
            self._counts["cut"] += 1
            self.refuse()
            return b""


if __name__ == "__main__":
    network = _Network(int(sys.argv[1]))
    for line in sys.stdin:
        name, given = json.loads(line)
        print(json.dumps(getattr(network, name)(**given)), flush=True)
    network.refuse()
