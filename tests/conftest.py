"""Real parts for all tests: the default embedder, exported once a session, and the shipped reader."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from api.settings import Settings
from api.wiring import Archive, archive_in
from index.articles import Article, make_article
from index.embedder import Embedder
from index.export import DEFAULT_MODEL, exported_embedder
from qa.confidence import load_confidence
from qa.pipeline import Pipeline
from qa.reader import Reader

os.environ["HF_HUB_OFFLINE"] = "1"

IDLIB = make_article(
    article_id="idlib",
    title="Air raid kills Turkish soldiers in Idlib",
    source="The Test",
    published="2020-02-28",
    text="An air strike killed at least 33 Turkish soldiers in Idlib on Thursday, officials said.\n\n"
    "President Recep Tayyip Erdoğan called an emergency meeting in Ankara.",
)
SUEZ = make_article(
    article_id="suez",
    title="Container ship blocks the Suez Canal",
    source="The Test",
    published="2021-03-24",
    text="The container ship Ever Given ran aground in the Suez Canal on Tuesday.\n\n"
    "It is 400 metres long and carries about 18,300 containers, its operator said.",
)


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache of exported embedders that this session uses; QUOTH_TEST_CACHE keeps one between sessions."""
    kept = os.environ.get("QUOTH_TEST_CACHE")
    return Path(kept) if kept else tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def exported(cache_dir: Path) -> Path:
    """The default embedder's export."""
    return exported_embedder(DEFAULT_MODEL, cache_dir / "embedders")


@pytest.fixture(scope="session")
def embedder(exported: Path) -> Embedder:
    """The default embedder."""
    return Embedder(exported)


@pytest.fixture
def settings(tmp_path: Path, cache_dir: Path, exported: Path) -> Settings:
    """Settings for a Library of this test's own."""
    del exported
    return Settings(library=tmp_path / "library", cache=cache_dir)


@pytest.fixture
def archive(settings: Settings, embedder: Embedder) -> Archive:
    """A Library with two articles."""
    opened = archive_in(settings.library, embedder)
    add(opened, IDLIB, SUEZ)
    return opened


@pytest.fixture(scope="session")
def shipped_reader() -> Reader:
    """The reader as it is shipped."""
    return Reader()


@pytest.fixture
def pipeline(archive: Archive, shipped_reader: Reader) -> Pipeline:
    """Everything that answers questions over the two articles."""
    return Pipeline(archive.library, archive.retriever, shipped_reader, load_confidence())


@pytest.fixture
def make(tmp_path: Path) -> Callable[[str, str], Path]:
    """Writes a file below the test's folder and returns its path."""

    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write


def add(archive: Archive, *articles: Article) -> None:
    """Take articles in, as `quoth add` does."""
    list(archive.intake().take_in(articles))
    archive.derived.refresh()
