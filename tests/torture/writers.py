"""Two processes that write to one Library at once: nothing is lost, and one waits or says who the other is."""

import sqlite3
import time
from collections.abc import Sequence

from tests.torture.news import Item
from tests.torture.product import Victim, quoth
from tests.torture.server import Client, Server
from tests.torture.trials import Bench, Stage, Trial, is_clear

_BUSY = ("is writing",)


def different_articles(bench: Bench, n_articles: int) -> Trial:
    """Two `quoth add`, each of articles of its own."""
    trial = Trial(name="two quoth add, different articles")
    stage = bench.stage("two-different")
    _add_both(trial, stage, _issue(stage, n_articles), _issue(stage, n_articles))
    stage.examine(trial)
    bench.keep_or_delete("two-different", trial)
    return trial


def same_articles(bench: Bench, n_articles: int) -> Trial:
    """Two `quoth add` of the same file, and then of two versions of each article."""
    trial = Trial(name="two quoth add, the same articles")
    stage = bench.stage("two-same")
    items = [stage.newsroom.flash() for _ in range(n_articles)]
    _add_both(trial, stage, items, items)
    stage.examine(trial)
    versions = [[stage.newsroom.flash(item.article.article_id) for item in items] for _ in range(2)]
    _add_both(trial, stage, *versions)
    for pair in zip(*versions, strict=True):
        stage.ledger.one_of(pair)
    stage.examine(trial)
    bench.keep_or_delete("two-same", trial)
    return trial


def add_beside_serving(bench: Bench, n_articles: int) -> Trial:
    """`quoth add` while a server takes articles in and removes some."""
    trial = Trial(name="quoth add beside PUT and DELETE")
    stage = bench.stage("add-serve")
    server = Server(stage.settings)
    trial.expect(server.wait_until_ready(), "quoth serve does not start")
    puts = _issue(stage, n_articles)
    plan: list[tuple[str, Item | None]] = [(item.article.article_id, item) for item in puts]
    plan += [(article_id, None) for article_id in dict.fromkeys(step[0] for step in plan[::5])]
    client = Client(server, stage.ledger, [plan])
    added = _issue(stage, n_articles)
    file = stage.file("added", added)
    victim = Victim(stage.settings, "add", "--verbose", file)
    client.start()
    client.join()
    _ended(trial, stage, victim)
    deadline = time.monotonic() + 5
    last = added[-1]
    while last.article.article_id not in server.found(last) and time.monotonic() < deadline:
        time.sleep(0.05)
    trial.expect(last.article.article_id in server.found(last), "the server does not find what the other added")
    server.process.end(kill=True)
    errors = server.process.errors()
    trial.expect("Traceback" not in errors and "database is locked" not in errors, f"quoth serve: {errors[-1000:]}")
    trial.expect(not client.refused, f"refused: {client.refused}")
    trial.facts.append(f"{client.n_acknowledged} requests acknowledged, {client.n_busy} told to come again")
    stage.examine(trial)
    bench.keep_or_delete("add-serve", trial)
    return trial


def held_lock(bench: Bench) -> Trial:
    """`quoth add` and `quoth remove` while another program holds the write lock for longer than they wait."""
    trial = Trial(name="the write lock is held")
    stage = bench.stage("held")
    items = [stage.newsroom.flash() for _ in range(3)]
    stage.add("first", items)
    more = stage.folder / "more.txt"
    more.write_text("One more article.", encoding="utf-8")
    holder = sqlite3.connect(stage.settings.library / "library.sqlite3", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    for command in (["add", str(more)], ["remove", items[0].article.article_id]):
        done = quoth(stage.settings, *command)
        is_said = done.returncode == 1 and is_clear(done.stderr, *_BUSY)
        trial.expect(is_said, f"quoth {command[0]}: exit code {done.returncode}: {done.stderr[-1000:]}")
    trial.expect(not stage.finds(items[0]), "nothing is found while the lock is held")
    holder.execute("ROLLBACK")
    holder.close()
    stage.examine(trial)
    bench.keep_or_delete("held", trial)
    return trial


def both_killed(bench: Bench, n_articles: int, number: int) -> Trial:
    """Two `quoth add`, both killed at a random moment."""
    trial = Trial(name=f"two quoth add, both killed ({number})")
    stage = bench.stage(f"both-killed-{number}")
    issues = [_issue(stage, n_articles) for _ in range(2)]
    victims = _start(stage, issues)
    victims[0].wait_for_lines(bench.rng.randint(0, n_articles))
    time.sleep(bench.rng.uniform(0, 0.1))
    for victim in victims:
        victim.end(kill=True)
        trial.facts.append(f"{stage.hear(victim.lines)} of {n_articles} acknowledged before the kill")
        errors = victim.errors()
        trial.expect("Traceback" not in errors and "locked" not in errors, errors[-1000:])
    stage.examine(trial)
    bench.keep_or_delete(f"both-killed-{number}", trial)
    return trial


def _issue(stage: Stage, n_articles: int) -> list[Item]:
    """New articles with some revisions, so that there are many transactions to collide."""
    items: list[Item] = []
    for number in range(n_articles):
        revised = items[-2].article.article_id if number % 4 == 3 else None
        items.append(stage.newsroom.flash(revised))
    return items


def _add_both(trial: Trial, stage: Stage, *issues: Sequence[Item]) -> None:
    for victim in _start(stage, issues):
        _ended(trial, stage, victim)


def _start(stage: Stage, issues: Sequence[Sequence[Item]]) -> list[Victim]:
    files = [stage.file(f"issue-{number}", items) for number, items in enumerate(issues)]
    return [Victim(stage.settings, "add", "--verbose", file) for file in files]


def _ended(trial: Trial, stage: Stage, victim: Victim) -> None:
    """It has come to its end, or has said who is writing; never with SQLite's own words."""
    code, errors = victim.end(kill=False), victim.errors()
    trial.facts.append(
        f"{stage.hear(victim.lines)} acknowledged, exit code {code}{': ' if errors else ''}{errors[-200:]}"
    )
    is_right = code == 0 or (code == 1 and is_clear(errors, *_BUSY))
    trial.expect(is_right, f"quoth add: exit code {code}: {errors[-1000:]}")
    trial.expect("database is locked" not in errors and "Traceback" not in errors, f"quoth add: {errors[-1000:]}")
