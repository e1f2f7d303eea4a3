"""What is killed: processes that add, serve, remove, search and repair over one Library, each at a random moment."""

import random
import time
from dataclasses import dataclass, field
from pathlib import Path

from api.settings import Settings
from tests.torture.ledger import Ledger
from tests.torture.news import Item, Newsroom, write
from tests.torture.product import SIGKILLED, Victim, acknowledged
from tests.torture.server import Client, Server, Step

KINDS: dict[str, float] = {"add": 4, "serve": 3, "remove": 1.5, "search": 1, "repair": 0.5}
"""How often each is killed, in proportion."""
KINDS_OF_LARGE = {**KINDS, "repair": 3}
"""Making the dense index of a large Library takes a while, and is a moment to be killed in."""
_ARTICLES = 40
_MANY = 300
"""More passages than one transaction takes: a file without revisions is cut by the product, not by the ids in it."""
_REQUESTS = 24
_AFTER_S = 0.08
"""An acknowledgement, the index switch after it and the work on the next transaction all fall into such a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """How a process ended. `expected` is how much it would have acknowledged, had it been left alone."""

    kind: str
    code: int
    lived_s: float
    acknowledged: int
    expected: int
    errors: str

    @property
    def was_killed(self) -> bool:
        """Whether it was the signal that ended it."""
        return self.code == SIGKILLED

    @property
    def phase(self) -> str:
        """Where among its acknowledgements it was killed."""
        if not self.acknowledged:
            return "before the first"
        return "between" if self.acknowledged < self.expected else "after the last"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Where processes live and die: a Library, what it must hold, and who writes new articles.

    `lives_s` is how long each kind lives, as far as it is known: a random moment is one of so many seconds.
    """

    settings: Settings
    ledger: Ledger
    newsroom: Newsroom
    rng: random.Random
    scratch: Path
    lives_s: dict[str, float] = field(default_factory=lambda: dict.fromkeys(KINDS, 2.0))

    def one_of(self, kind: str) -> Death:
        """Start a process of that kind, kill it at a random moment, and note what it acknowledged."""
        death = {
            "add": self._add,
            "serve": self._serve,
            "remove": self._remove,
            "search": self._search,
            "repair": self._repair,
        }[kind]()
        self.lives_s[kind] = max(self.lives_s[kind], death.lived_s) if death.was_killed else death.lived_s
        return death

    def _add(self) -> Death:
        items = self._issue()
        file = write(items, self.scratch / "issue.jsonl")
        self.ledger.submit_all(items)
        victim = Victim(self.settings, "add", "--verbose", file)
        self._wait("add", victim, len(items))
        code = victim.end(kill=True)
        done = acknowledged(victim.lines)
        for article_id in done:
            self.ledger.acknowledge(article_id)
        return _death("add", victim, code, len(done), len(items))

    def _issue(self) -> list[Item]:
        """New articles, revisions of earlier ones, and unchanged ones; a revision of a new one ends a transaction."""
        if self.rng.random() < 0.1:
            return [self.newsroom.brief() for _ in range(_MANY)]
        items: list[Item] = []
        known = self.ledger.present()
        for _ in range(_ARTICLES):
            chance = self.rng.random()
            if chance < 0.15 and items:
                items.append(self.newsroom.flash(self.rng.choice(items).article.article_id))
            elif chance < 0.25 and known:
                items.append(self.newsroom.flash(self.rng.choice(known).article.article_id))
            elif chance < 0.3 and known:
                items.append(self.rng.choice(known))
            else:
                items.append(self.newsroom.story() if chance > 0.95 else self.newsroom.flash())
        return items

    def _remove(self) -> Death:
        present = self.ledger.present()
        if not present:
            return self._add()
        article_id = self.rng.choice(present).article.article_id
        self.ledger.submit(article_id, None)
        victim = Victim(self.settings, "remove", "--", article_id)
        self._wait("remove", victim, 1)
        code = victim.end(kill=True)
        if victim.lines:
            self.ledger.acknowledge(article_id)
        return _death("remove", victim, code, len(victim.lines), 1)

    def _search(self) -> Death:
        """A reader that is killed while it catches up or rebuilds what the one before it left behind."""
        return self._reader("search", "search", "Who signed the item?", "--json")

    def _repair(self) -> Death:
        """All indexes are made anew, and the process that makes them is killed."""
        return self._reader("repair", "check", "--repair")

    def _reader(self, kind: str, *command: str) -> Death:
        if not self.ledger.present():
            return self._add()  # there may be no Library yet
        victim = Victim(self.settings, *command)
        self._wait(kind, victim, 1)
        return _death(kind, victim, victim.end(kill=True), min(len(victim.lines), 1), 1)

    def _wait(self, kind: str, victim: Victim, n_lines: int) -> None:
        """A random moment: of the whole life, shortly after some acknowledgement, or after the last."""
        chance = self.rng.random()
        if chance < (0.8 if n_lines == 1 else 0.4):
            time.sleep(self.rng.uniform(0, self.lives_s[kind]))
        elif chance < 0.75:
            victim.wait_for_lines(self.rng.randint(1, n_lines))
            time.sleep(self.rng.uniform(0, _AFTER_S))
        else:
            victim.wait_for_lines(n_lines)
            time.sleep(self.rng.uniform(0, 5 * _AFTER_S))

    def _serve(self) -> Death:
        server = Server(self.settings)
        client = Client(server, self.ledger, self._plans())
        if self.rng.random() < 0.15:
            time.sleep(self.rng.uniform(0, self.lives_s["serve"] / 2))
        elif server.wait_until_ready():
            client.start()
            client.wait_for(self.rng.randint(0, _REQUESTS))
            time.sleep(self.rng.uniform(0, _AFTER_S))
        code = server.process.end(kill=True)
        client.join()
        return _death("serve", server.process, code, client.n_acknowledged, _REQUESTS, *client.refused)

    def _plans(self) -> list[list[Step]]:
        """What two clients ask for at once: puts and removals, each of articles that the other leaves alone."""
        known = self.ledger.present()
        self.rng.shuffle(known)
        plans: list[list[Step]] = [[], []]
        for number in range(_REQUESTS):
            chance = self.rng.random()
            if chance < 0.5 or not known:
                item = self.newsroom.story() if chance < 0.03 else self.newsroom.flash()
                step: Step = (item.article.article_id, item)
            else:
                article_id = known.pop().article.article_id
                step = (article_id, self.newsroom.flash(article_id) if chance < 0.7 else None)
            plans[number % 2].append(step)
        return plans


def _death(kind: str, victim: Victim, code: int, done: int, expected: int, *refused: str) -> Death:
    errors = "\n".join([victim.errors(), *(f"Traceback or refusal over HTTP: {reply}" for reply in refused)])
    return Death(kind=kind, code=code, lived_s=victim.lived_s, acknowledged=done, expected=expected, errors=errors)
