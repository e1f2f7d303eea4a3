"""A few kills, and proof that a loss would be seen. The long form is `python -m tests.torture`."""

import sqlite3
from contextlib import closing

import pytest

from api.wiring import open_archive
from tests.torture.kills import Campaign
from tests.torture.ledger import Ledger
from tests.torture.news import Newsroom, originals, seeded
from tests.torture.trials import Bench


@pytest.mark.enable_socket
def test_after_a_kill_all_that_was_acknowledged_is_there_and_found(bench: Bench) -> None:
    campaign = Campaign(bench=bench, seed=1)
    scene = campaign.scene(0)

    for kind in ("add", "serve", "remove"):
        kill = campaign.examined(scene, scene.one_of(kind), number=1, library=0, is_last=False)
        assert (kill.lost, kill.inconsistent) == ([], [])
    assert scene.ledger.n_acknowledged


LOSSES = {
    "an article": ("DELETE FROM articles WHERE article_id = 'first'", "lost", "'first': nothing, not one of"),
    "a title": ("UPDATE articles SET title = 'Another'", "lost", "'first': sha256"),
    "a passage": ("DELETE FROM passages", "lost", "'first' is stored and not found by"),
    "a cut": ("DELETE FROM passages", "inconsistent", "are in no passage"),
    "an id": ("UPDATE articles SET article_id = 'second'", "inconsistent", "'second' is there and was never"),
}


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_seen(bench: Bench, name: str) -> None:
    statement, kind, words = LOSSES[name]
    stage = bench.stage("stage")
    item = stage.newsroom.flash("first")
    list(open_archive(stage.settings, create=True).intake().take_in([item.article]))
    stage.ledger.submit("first", item)
    stage.ledger.acknowledge("first")
    with closing(sqlite3.connect(stage.settings.library / "library.sqlite3")) as connection, connection:
        connection.execute(statement)

    found = bench.examiner.examine(stage.settings, stage.ledger)

    assert any(words in text for text in (found.lost if kind == "lost" else found.inconsistent)), found


def test_articles_of_one_seed_are_the_same_and_have_a_sentence_of_their_own() -> None:
    first, second = (Newsroom(originals(), seeded(3)) for _ in range(2))
    items = [first.flash() for _ in range(20)]

    assert items == [second.flash() for _ in range(20)]
    assert all([item.own in other.article.text for other in items].count(True) == 1 for item in items)


def test_the_ledger_knows_what_may_be_there() -> None:
    newsroom, ledger = Newsroom(originals(), seeded(0)), Ledger()
    old, new, newest = (newsroom.flash("a") for _ in range(3))
    for item in (old, new, newest, None):
        ledger.submit("a", item)
    assert ledger.possible("a") == [None, old, new, newest, None]
    assert not ledger.is_bound()

    ledger.acknowledge("a")
    ledger.acknowledge("a")
    assert ledger.possible("a") == [new, newest, None]
    assert ledger.gone("a") == [old]
    ledger.settle("a", newest)
    assert ledger.present() == [newest]
    assert ledger.gone("a") == [old, new]
    assert ledger.is_bound()
