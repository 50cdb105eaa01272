"""Alerts, received by a web server on this machine."""

import json
import logging
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from retail_assets.resources.notifier import Notifier, body_for

SECRET = "c4n4ry"
FACTS = {"Where": "gold/fact_sales", "Since": "2025-03-01 02:10 UTC", "What to do": "Load <sales> & run ingest again."}


class Receiver(HTTPServer):
    """Keeps what is posted; answers with `status`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status = 202
        self.seen: list[tuple[str, Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook/{SECRET}"


class Handler(BaseHTTPRequestHandler):
    server: Any

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append((self.headers["Content-Type"], json.loads(body)))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        return


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_an_alert_that_names_its_run_links_to_it_where_the_ui_is_known(receiver: Receiver) -> None:
    Notifier(receiver.url, ui_url="https://dagster.example.com/").send("failed", "why", facts={"run": "r1"})
    Notifier(receiver.url).send("failed", "why", facts={"run": "r1"})
    Notifier(receiver.url, ui_url="https://dagster.example.com").send("failed", "why", facts=FACTS)
    links = ["https://dagster.example.com/runs/r1" in json.dumps(body) for _, body in receiver.seen]
    assert links == [True, False, False]


def test_an_alert_says_what_where_since_when_and_what_to_do(receiver: Receiver) -> None:
    assert Notifier(receiver.url).send("Ingest failed", "The source is down.", facts=FACTS) is True
    ((kind, body),) = receiver.seen
    assert kind == "application/json"
    (attachment,) = body["attachments"]
    assert body["type"] == "message"
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    title, text, facts = attachment["content"]["body"]
    assert (title["text"], text["text"]) == ("Ingest failed", "The source is down.")
    assert {fact["title"]: fact["value"] for fact in facts["facts"]} == FACTS


def test_slack_gets_blocks_within_its_limits() -> None:
    many = {f"fact {n}": "x" * 5000 for n in range(12)}
    body = body_for("https://hooks.slack.com/services/x", "<!channel> " + "t" * 200, text="a < b", facts=many)
    header, section, fields = body["blocks"]
    assert len(header["text"]["text"]) == 150
    assert section["text"] == {"type": "mrkdwn", "text": "a &lt; b"}
    assert len(fields["fields"]) == 10 and {len(field["text"]) for field in fields["fields"]} == {2000}
    assert "<!channel>" not in body["text"]


def test_slack_gets_no_empty_block() -> None:
    body = body_for("https://hooks.slack.com/services/x", "Title", text="", facts={})
    assert [block["type"] for block in body["blocks"]] == ["header"]


def test_a_host_that_only_looks_like_slack_gets_the_card() -> None:
    assert "attachments" in body_for("https://notslack.com/x", "Title", text="", facts={})


def test_without_a_webhook_nothing_happens(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        assert Notifier(None).send("Title", "Text", facts=FACTS) is False
    assert caplog.records == []


def test_a_refusing_webhook_is_logged_with_its_answer(receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    receiver.status = 410
    assert Notifier(receiver.url).send("Ingest failed", "Text", facts=FACTS) is False
    assert caplog.messages == ["The alert 'Ingest failed' was not delivered: the webhook answered 410."]


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://127.0.0.1:{port}/hook/c4n4ry", "Connection refused"),
        ("http://127.0.0.1:port/hook/c4n4ry", "InvalidURL"),
        ("file:///c4n4ry", "ValueError"),
        ("c4n4ry", "ValueError"),
        ("http://127.0.0.1:{port}/hook c4n4ry", "InvalidURL"),
    ],
)
def test_an_undelivered_alert_is_a_warning_without_the_address(
    url: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    notifier = Notifier(url.format(port=unused_port()))
    assert notifier.send("Ingest failed", "Text", facts=FACTS) is False
    assert caplog.messages == [
        f"The alert 'Ingest failed' was not delivered: {reason}; check RETAIL_ALERT_WEBHOOK_URL."
    ]
    assert SECRET not in caplog.text + repr(notifier)
