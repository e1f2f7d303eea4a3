"""`quoth serve` as a process, and a client that keeps what was acknowledged."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from api.settings import Settings
from tests.torture.ledger import Ledger
from tests.torture.news import Item
from tests.torture.product import TIMEOUT_S, Victim

ACKNOWLEDGED = frozenset({200, 201, 204})
BUSY = 503


class Server:
    """A serving process on a port of its own; questions and articles over HTTP."""

    def __init__(self, settings: Settings, *, more: Mapping[str, str] | None = None) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.process = Victim(settings, "serve", "--port", str(self.port), more=more)

    def wait_until_ready(self) -> bool:
        """Whether it came to listen; False if it ended before."""
        deadline = time.monotonic() + TIMEOUT_S
        while self.process.is_alive() and time.monotonic() < deadline:
            try:
                return self.call("GET", "/healthz")[0] == 200
            except OSError:
                time.sleep(0.02)
        return False

    def call(self, method: str, path: str, body: object = None) -> tuple[int, dict[str, Any]]:
        """The status and the document of one request.

        Raises:
            OSError, http.client.HTTPException: there is no whole reply.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_S)
        try:
            data = None if body is None else json.dumps(body)
            connection.request(method, path, data, {"content-type": "application/json"})
            reply = connection.getresponse()
            text = reply.read()
            return reply.status, json.loads(text) if text[:1] == b"{" else {}
        finally:
            connection.close()

    def put(self, item: Item) -> tuple[int, dict[str, Any]]:
        """Add or replace an article."""
        article = item.article
        fields = {
            "title": article.title,
            "text": article.text,
            "source": article.source,
            "published": str(article.published),
        }
        return self.call("PUT", _path(article.article_id), fields)

    def delete(self, article_id: str) -> tuple[int, dict[str, Any]]:
        """Remove an article."""
        return self.call("DELETE", _path(article_id))

    def found(self, item: Item) -> Sequence[str]:
        """The ids of the articles whose passages are found by the item's own sentence."""
        status, document = self.call("POST", "/v1/search", {"question": item.own})
        return [passage["article_id"] for passage in document["passages"]] if status == 200 else []


def _path(article_id: str) -> str:
    return f"/v1/articles/{quote(article_id, safe='')}"


Step = tuple[str, Item | None]
"""An id with the article to put there, or None to remove it."""


class Client:
    """Connections that work through a plan each, until the server is gone, and note what it acknowledged."""

    def __init__(self, server: Server, ledger: Ledger, plans: Sequence[Sequence[Step]]) -> None:
        """`plans`: no id is in two of them, or it would not be known what is last."""
        self._server = server
        self._ledger = ledger
        self._threads = [threading.Thread(target=self._work, args=(plan,), daemon=True) for plan in plans]
        self._news = threading.Condition()
        self.n_acknowledged = 0
        self.n_busy = 0
        self.refused: list[str] = []

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def wait_for(self, number: int) -> None:
        """Return when so much is acknowledged, or all work is done."""
        with self._news:
            while self.n_acknowledged < number and any(thread.is_alive() for thread in self._threads):
                self._news.wait(timeout=0.1)

    def join(self) -> None:
        """Wait until the plans are done or the server is gone."""
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    def _work(self, plan: Sequence[Step]) -> None:
        for article_id, item in plan:
            with self._news:
                self._ledger.submit(article_id, item)
            try:
                status, document = self._server.put(item) if item else self._server.delete(article_id)
            except (OSError, http.client.HTTPException, ValueError):  # it was killed
                return
            with self._news:
                if status in ACKNOWLEDGED:
                    self._ledger.acknowledge(article_id)
                    self.n_acknowledged += 1
                elif status == BUSY:
                    self.n_busy += 1
                else:
                    self.refused.append(f"{status} {document}")
                self._news.notify_all()
