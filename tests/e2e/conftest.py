"""A real server over the seeds, and a real browser. Sockets are open to this machine only."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from pytest_socket import socket_allow_hosts

from api.keys import KeyStore, Scope
from api.settings import Settings
from api.wiring import Archive, open_archive
from index.articles import Article, find_files, read_file
from index.library import Library
from index.passages import CharSpan
from index.records import NewArticle
from tests.api.serving import Server
from tests.conftest import add
from tests.e2e.parts import DESKTOP, DOTS, HUGE, ROOT, SHOTS, watch


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.enable_socket)


@pytest.fixture(autouse=True)
def loopback_only() -> None:
    socket_allow_hosts(["127.0.0.1", "localhost"], allow_unix_socket=True)


@pytest.fixture(scope="session")
def chromium() -> str:
    """Where Debian's Chromium is, or another that is installed."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        message = f"no browser: install one of {', '.join(names)} (Debian: apt install chromium)"
        if os.environ.get("QUOTH_E2E"):
            pytest.fail(message)
        pytest.skip(message)
    return found


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """Open for one file alone: while it is, no other test of this process can run an event loop."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        # Containers have no user namespaces for the sandbox, and nothing is opened here but our own pages.
        # A name that is not of this machine is what a newsroom's own network has: no https, so fewer rights.
        arguments = ["--no-sandbox", "--host-resolver-rules=MAP newsroom.test 127.0.0.1"]
        opened = playwright.chromium.launch(executable_path=chromium, args=arguments)
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def seeds(tmp_path_factory: pytest.TempPathFactory, cache_dir: Path, exported: Path) -> Settings:
    """A Library of the seeds, and of articles that no file would be."""
    del exported
    settings = Settings(library=tmp_path_factory.mktemp("e2e") / "library", cache=cache_dir)
    archive = open_archive(settings, create=True)
    files, _ = find_files([ROOT / "seeds" / "articles"])
    add(archive, *(article for file in files for article in read_file(file) if isinstance(article, Article)))
    archive.library.put([_by_hand(archive, HUGE), _by_hand(archive, DOTS)])
    archive.derived.refresh()
    return settings


@pytest.fixture(scope="session")
def server(seeds: Settings, tmp_path_factory: pytest.TempPathFactory, chromium: str) -> Iterator[Server]:
    """`quoth serve` over the seeds."""
    del chromium  # without one nothing is started
    with Server(seeds, tmp_path_factory.mktemp("log")) as opened:
        yield opened


@pytest.fixture(scope="session")
def library(seeds: Settings) -> Library:
    """What the server serves."""
    return Library(seeds.library)


@pytest.fixture(scope="session")
def frail(cache_dir: Path, tmp_path_factory: pytest.TempPathFactory, chromium: str) -> Iterator[tuple[Server, str]]:
    """A server with an empty archive that asks for keys and has no time for any question; and a key."""
    del chromium  # without one nothing is started
    settings = Settings(library=tmp_path_factory.mktemp("frail") / "library", cache=cache_dir)
    key = KeyStore(settings.library).add("newsroom", [Scope.ASK, Scope.WRITE])
    with Server(
        settings, tmp_path_factory.mktemp("log"), "--require-keys", more={"QUOTH_DEADLINE_S": "0.001"}
    ) as opened:
        yield opened, key


@pytest.fixture
def context(browser: Browser, server: Server) -> Iterator[BrowserContext]:
    """A browser as it is on the first day, at the main server."""
    opened = browser.new_context(base_url=server.url, viewport=DESKTOP, reduced_motion="reduce", color_scheme="light")
    opened.grant_permissions(["clipboard-read", "clipboard-write"])
    yield opened
    opened.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page in it; at the end nothing may have gone wrong."""
    watched = watch(context.new_page())
    yield watched.page
    assert watched.problems == []


def _by_hand(archive: Archive, article: Article) -> NewArticle:
    """The article with its beginning as its only passage: embedding five megabytes takes a minute."""
    vector = np.zeros((1, archive.library.dimension), dtype=np.float32)
    vector[0, 0] = 1
    return NewArticle(article=article, spans=[CharSpan(0, min(400, len(article.text)))], vectors=vector)
