"""Alerts to a Teams or Slack webhook. An alert that cannot be delivered never breaks what it tells of.

The address is a secret: whoever has it can post, so neither log nor error shows it.
"""

import http.client
import json
import logging
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

_LOG = logging.getLogger(__name__)
_TIMEOUT_SECONDS = 10
# Limits of Slack's blocks: https://docs.slack.dev/reference/block-kit/blocks
_TITLE_LENGTH, _TEXT_LENGTH, _FIELD_LENGTH, _FIELD_COUNT = 150, 3000, 2000, 10


class Notifier:
    """Posts alerts to one webhook, or nowhere.

    Args:
        ui_url: address of the Dagster UI; an alert that names its run then links to it.
    """

    def __init__(self, webhook_url: str | None, *, ui_url: str | None = None) -> None:
        self._url = webhook_url
        self._ui_url = ui_url

    def __repr__(self) -> str:
        return f"Notifier({'a webhook' if self._url else 'no webhook'})"

    def send(self, title: str, text: str, *, facts: Mapping[str, object]) -> bool:
        """Post an alert and say whether it was delivered; without a webhook nothing happens.

        Args:
            title: what happened, in one line.
            text: the reason as the user can understand it.
            facts: label to value, in the order shown: where, since when, what to do.
        """
        if self._url is None:
            return False
        links = {"open": f"{self._ui_url.rstrip('/')}/runs/{facts['run']}"} if self._ui_url and "run" in facts else {}
        try:
            _post(self._url, body_for(self._url, title, text=text, facts={**facts, **links}))
        except urllib.error.HTTPError as error:
            _LOG.warning("The alert %r was not delivered: the webhook answered %d.", title, error.code)
            error.close()
            return False
        except (OSError, ValueError, http.client.HTTPException) as error:
            _LOG.warning("The alert %r was not delivered: %s; check RETAIL_ALERT_WEBHOOK_URL.", title, _kind(error))
            return False
        return True


def body_for(url: str, title: str, *, text: str, facts: Mapping[str, object]) -> dict[str, Any]:
    """Slack's blocks for a Slack address; for any other a message with an adaptive card, which Teams takes."""
    host = urlsplit(url).hostname or ""
    if host == "slack.com" or host.endswith(".slack.com"):
        return _slack_message(title, text, facts=facts)
    return _teams_message(title, text, facts=facts)


def _post(url: str, body: dict[str, Any]) -> None:
    if urlsplit(url).scheme not in ("http", "https"):
        raise ValueError("not a web address")
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS):
        pass


def _kind(error: Exception) -> str:
    """What went wrong without the text of the error, which may hold the address."""
    reason = getattr(error, "reason", error)
    return getattr(reason, "strerror", None) or type(reason).__name__


def _teams_message(title: str, text: str, *, facts: Mapping[str, object]) -> dict[str, Any]:
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [
            {"type": "TextBlock", "text": title, "weight": "bolder", "size": "medium", "wrap": True},
            {"type": "TextBlock", "text": text, "wrap": True},
            {"type": "FactSet", "facts": [{"title": label, "value": str(value)} for label, value in facts.items()]},
        ],
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "content": card}
    return {"type": "message", "summary": title, "attachments": [attachment]}


def _slack_message(title: str, text: str, *, facts: Mapping[str, object]) -> dict[str, Any]:
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": title[:_TITLE_LENGTH]}},
    ]
    if text:
        blocks.append({"type": "section", "text": _markdown(text, limit=_TEXT_LENGTH)})
    fields = [_markdown(f"*{label}*\n{value}", limit=_FIELD_LENGTH) for label, value in facts.items()]
    if fields:
        blocks.append({"type": "section", "fields": fields[:_FIELD_COUNT]})
    return {"text": _escaped(title), "blocks": blocks}


def _markdown(text: str, *, limit: int) -> dict[str, str]:
    return {"type": "mrkdwn", "text": _escaped(text)[:limit]}


def _escaped(text: str) -> str:
    """Slack reads <…> as a link or a call to everybody."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
