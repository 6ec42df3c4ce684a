"""Receivers on loopback: Splunk's HEC, an OTLP collector, a webhook, rsyslog."""

import json
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, Any

from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)

from tests.integration.audit.sinks.certificates import Authority

Answer = tuple[int, dict[str, Any]]
RSYSLOGD = shutil.which("rsyslogd") or "/usr/sbin/rsyslogd"


@dataclass
class Receiver:
    """An HTTP server that keeps what it took; ``behave`` may answer otherwise.

    While ``hanging`` is set it takes connections and says nothing.
    """

    take: Callable[["Receiver", str, dict[str, str], bytes], Answer]
    port: int = 0
    kept: list[Any] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    behave: Callable[[bytes], Answer | None] = lambda _: None
    hanging: threading.Event = field(default_factory=threading.Event)
    server: ThreadingHTTPServer | None = None
    context: ssl.SSLContext | None = None

    def start(self) -> None:
        """Listen, on the same port as before where there was one."""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                length = int(self.headers["content-length"])
                body = self.rfile.read(length)
                while receiver.hanging.is_set():
                    time.sleep(0.05)
                headers = {k.lower(): v for k, v in self.headers.items()}
                answer = receiver.behave(body) or receiver.take(
                    receiver, self.path, headers, body
                )
                receiver.headers.append(headers)
                text = json.dumps(answer[1]).encode()
                with suppress(OSError):
                    self.send_response(answer[0])
                    self.send_header("content-type", "application/json")
                    self.send_header("content-length", str(len(text)))
                    self.end_headers()
                    self.wfile.write(text)

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True

            def handle_error(self, *_: Any) -> None:
                pass

        self.server = Server(("127.0.0.1", self.port), Handler)
        if self.context:
            self.server.socket = self.context.wrap_socket(
                self.server.socket, server_side=True
            )
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Be away: connections are refused."""
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    @property
    def url(self) -> str:
        scheme = "https" if self.context else "http"
        return f"{scheme}://127.0.0.1:{self.port}"


@contextmanager
def running(receiver: Receiver) -> Iterator[Receiver]:
    receiver.start()
    try:
        yield receiver
    finally:
        receiver.hanging.clear()
        receiver.stop()


TOKEN = "11111111-2222-3333-4444-555555555555"


@dataclass
class Hec:
    """What Splunk's collector does with indexer acknowledgement on."""

    receipts: bool = True
    confirm: bool = True
    asked: int = 0
    given: int = 0

    def __call__(
        self, receiver: Receiver, path: str, headers: dict[str, str], body: bytes
    ) -> Answer:
        if headers.get("authorization") != f"Splunk {TOKEN}":
            return 403, {"text": "Invalid token", "code": 4}
        if path == "/services/collector/ack":
            self.asked += 1
            return 200, {
                "acks": {str(n): self.confirm for n in json.loads(body)["acks"]}
            }
        if path != "/services/collector/event":
            return 404, {"text": "Not found", "code": 404}
        if self.receipts and not headers.get("x-splunk-request-channel"):
            return 400, {"text": "Data channel is missing", "code": 10}
        events = list(concatenated(body.decode()))
        if not events or any("event" not in event for event in events):
            return 400, {"text": "Event field is required", "code": 12}
        receiver.kept += events
        self.given += 1
        more = {"ackId": self.given} if self.receipts else {}
        return 200, {"text": "Success", "code": 0, **more}


def concatenated(text: str) -> Iterator[dict[str, Any]]:
    """The JSON objects of a text, as HEC takes them."""
    decoder, place = json.JSONDecoder(), 0
    while place < len(text):
        value, place = decoder.raw_decode(text, place)
        yield value


def otlp(receiver: Receiver, path: str, headers: dict[str, str], body: bytes) -> Answer:
    """Reads with the protocol's own classes, as a collector does."""
    if path != "/v1/logs" or headers["content-type"] != "application/json":
        return 404, {}
    request = json_format.Parse(body, ExportLogsServiceRequest())
    for resource in request.resource_logs:
        for scope in resource.scope_logs:
            receiver.kept += scope.log_records
    return 200, json_format.MessageToDict(ExportLogsServiceResponse())


def webhook(
    receiver: Receiver, path: str, headers: dict[str, str], body: bytes
) -> Answer:
    receiver.kept += json.loads(body)["data"]["events"]
    return 200, {}


def server_context(authority: Authority, *, clients: bool) -> ssl.SSLContext:
    """A server's; with ``clients`` only those with a certificate get in."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if clients:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=authority.certificate)
    return context


_RSYSLOG = """
global(workDirectory="{folder}" maxMessageSize="256k"
  defaultNetstreamDriver="ossl"
  defaultNetstreamDriverCAFile="{folder}/ca.pem"
  defaultNetstreamDriverCertFile="{folder}/server.pem"
  defaultNetstreamDriverKeyFile="{folder}/server.key")
module(load="imtcp" streamDriver.name="ossl" streamDriver.mode="1"
  streamDriver.authMode="x509/certvalid")
input(type="imtcp" port="{port}" address="127.0.0.1" ruleset="audit")
template(name="whole" type="string"
  string="%pri-text% %procid% %msgid% %structured-data% %msg%\\n")
ruleset(name="audit") {{
  action(type="omfile" file="{folder}/taken.log" template="whole")
}}
"""


@dataclass
class Rsyslog:
    """A real rsyslog that lets in only our authority's clients (RFC 5425)."""

    folder: Path
    authority: Authority
    port: int = 0
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        folder = self.folder
        self.port = self.port or _free_port()
        server = self.authority.issue("localhost")
        for name, text in {
            "ca.pem": self.authority.certificate,
            "server.pem": server.certificate,
            "server.key": server.key,
            "rsyslog.conf": _RSYSLOG.format(folder=self.folder, port=self.port),
        }.items():
            (self.folder / name).write_text(text)
        with (folder / "stderr").open("wb") as stderr:
            self._spawn(stderr)
        for _ in range(200):
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
            time.sleep(0.05)
        raise AssertionError((folder / "stderr").read_text())

    def _spawn(self, stderr: IO[bytes]) -> None:
        folder = self.folder
        self.process = subprocess.Popen(
            [
                RSYSLOGD,
                "-n",
                "-i",
                f"{folder}/pid",
                "-f",
                f"{folder}/rsyslog.conf",
            ],
            stdout=subprocess.DEVNULL,
            stderr=stderr,
        )

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)
            self.process = None

    @property
    def lines(self) -> list[str]:
        try:
            return (self.folder / "taken.log").read_text().splitlines()
        except FileNotFoundError:
            return []


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait for it; an AssertionError when it does not come."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)
