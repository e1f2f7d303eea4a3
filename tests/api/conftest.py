"""The command, and the articles that it takes in."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from api.http import build_app
from api.service import Service, open_service
from api.settings import Settings
from api.wiring import Archive, open_archive
from qa.pipeline import Pipeline
from tests.api.parts import Quoth, QuothHere
from tests.conftest import IDLIB, SUEZ, add


@pytest.fixture
def quoth(settings: Settings) -> Quoth:
    """The command, with a Library and a cache of this test's own."""
    return Quoth(settings)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two articles as files."""
    articles = tmp_path / "articles"
    articles.mkdir()
    for article in (IDLIB, SUEZ):
        front = f'id: {article.article_id}\ntitle: "{article.title}"\nsource: {article.source}\n'
        front += f"published: {article.published}"
        (articles / f"{article.article_id}.md").write_text(f"---\n{front}\n---\n{article.text}", encoding="utf-8")
    return articles


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory, cache_dir: Path, exported: Path) -> Settings:
    """A Library with two articles, and a cache without any evaluation archive, for the tests of one file."""
    place = tmp_path_factory.mktemp("filled")
    (place / "cache").mkdir()
    (place / "cache" / "embedders").symlink_to(cache_dir.resolve() / "embedders")
    settings = Settings(library=place / "library", cache=place / "cache")
    add(open_archive(settings, create=True), IDLIB, SUEZ)
    assert exported.is_dir()
    return settings


@pytest.fixture(scope="module")
def quoth_here(filled: Settings) -> QuothHere:
    """The command in this process, with the Library of two articles."""
    return QuothHere(filled)


@pytest.fixture
def service(archive: Archive, pipeline: Pipeline, settings: Settings) -> Service:
    """The service over a Library with two articles, as it is on the loopback address."""
    return open_service(archive, pipeline, settings, "0")


@pytest.fixture
def client(service: Service) -> Iterator[TestClient]:
    """A client of it."""
    with TestClient(build_app(service), base_url="http://localhost") as opened:
        yield opened
