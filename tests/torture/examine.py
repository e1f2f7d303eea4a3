"""Opening a Library as the next command would, and comparing it with what was acknowledged."""

import logging
import multiprocessing
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from api.settings import Settings
from api.wiring import Archive, open_archive
from index.check import faults
from index.errors import LibraryError
from index.records import Filters
from tests.torture.ledger import Ledger
from tests.torture.news import Item, seeded

K = 10
_SAMPLE, _LARGE_SAMPLE = 20, 1000
"""How many articles that the last process did not touch are searched for after a kill, and at a Library's end."""
Kind = Literal["lost", "inconsistent"]


@dataclass(slots=True, kw_only=True)
class Examination:
    """What was found: what is wrong, how much was looked at, and what the product said while it opened the Library.

    `there` is, for each id, which of the possible contents is in the Library.
    """

    lost: list[str] = field(default_factory=list)
    inconsistent: list[str] = field(default_factory=list)
    there: dict[str, Item | None] = field(default_factory=dict)
    n_searched: int = 0
    said: list[str] = field(default_factory=list)

    def add(self, kind: Kind, text: str) -> None:
        """Note something that must not be: an acknowledged write that is not there, or parts that disagree."""
        (self.lost if kind == "lost" else self.inconsistent).append(text)


class Examiner:
    """Examines Libraries, each in a process of its own that is forked from one which has imported the product.

    Never in the process of the harness: SQLite's locks belong to a process, and closing any file of a Library, as
    copying it does, would drop those of every connection in it.
    """

    def __init__(self, seed: object) -> None:
        """`seed` decides which articles are searched for as a sample."""
        self._rng = seeded(seed)
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__])
        self._pool = ProcessPoolExecutor(1, mp_context=context, max_tasks_per_child=1)

    def examine(self, settings: Settings, ledger: Ledger, *, everything: bool = False) -> Examination:
        """Open the Library, compare each article, search for those touched since and a sample of the rest, check it.

        What is found settles the ledger. With `everything`, the sample is of 1,000 articles: all of them,
        but in a large Library.
        """
        rest = [article_id for article_id in ledger.ids() if article_id not in ledger.touched]
        sample = self._rng.sample(rest, min(_LARGE_SAMPLE if everything else _SAMPLE, len(rest)))
        found = self._pool.submit(_examine, settings, ledger, [*ledger.touched, *sample]).result()
        for article_id, item in found.there.items():
            ledger.settle(article_id, item)
        ledger.touched.clear()
        return found

    def close(self) -> None:
        """End the processes."""
        self._pool.shutdown()


def _examine(settings: Settings, ledger: Ledger, wanted: Iterable[str]) -> Examination:
    found = Examination()
    with _listening(found.said):
        archive = _opened(settings, ledger, found)
        if archive is None:
            return found
        _compare(archive, ledger, found)
        for article_id in wanted:
            _search(archive, ledger, article_id, found)
        for fault in faults(archive.library):
            found.add("inconsistent", f"check: {fault}")
    return found


def _opened(settings: Settings, ledger: Ledger, found: Examination) -> Archive | None:
    try:
        return open_archive(settings)
    except LibraryError as error:
        if ledger.is_bound():
            found.add("lost", f"the Library cannot be opened: {error}")
            return None
    # Killed before anything was stored: whoever adds next must be able to.
    try:
        return open_archive(settings, create=True)
    except LibraryError as error:
        found.add("inconsistent", f"a Library whose creation was stopped cannot be created again: {error}")
        return None


def _compare(archive: Archive, ledger: Ledger, found: Examination) -> None:
    """Every article is one of those possible, in each of its fields; no other is there."""
    for article_id in ledger.ids():
        stored = archive.library.find(article_id)
        possible = ledger.possible(article_id)
        for item in reversed(possible):
            if stored == (item.article if item else None):
                found.there[article_id] = item
                break
        else:
            # A removed article that is back is no loss, and no less a fault.
            kind: Kind = "inconsistent" if possible[0] is None else "lost"
            found.add(kind, f"article {article_id!r}: {_what(stored)}, not one of {[_what(i) for i in possible]}")
    strangers = {summary.article_id for summary in archive.library.articles()} - set(ledger.ids())
    for article_id in strangers:
        found.add("inconsistent", f"article {article_id!r} is there and was never submitted")


def _what(stored: object) -> str:
    article = stored.article if isinstance(stored, Item) else stored
    return "nothing" if article is None else f"sha256 {getattr(article, 'sha256', '?')[:12]}"


def _search(archive: Archive, ledger: Ledger, article_id: str, found: Examination) -> None:
    """What is there is found by its own sentence; what is not is not returned; every passage is a slice."""
    if article_id not in found.there:
        return  # already a finding
    found.n_searched += 1
    now = found.there[article_id]
    if now is not None and article_id not in dict(_retrieve(archive, now, found)):
        found.add("lost", f"article {article_id!r} is stored and not found by {now.own!r}")
    never = [*ledger.gone(article_id), *ledger.possible(article_id)]
    for old in [item for item in never if item is not None and item != now][-2:]:
        for other_id, text in _retrieve(archive, old, found):
            if old.own in text or (now is None and other_id == article_id):
                found.add("inconsistent", f"article {article_id!r}: what is not there is returned: {text[:80]!r}")


def _retrieve(archive: Archive, item: Item, found: Examination) -> Iterator[tuple[str, str]]:
    for retrieved in archive.retriever.retrieve(item.own, K, Filters()):
        passage = retrieved.passage
        article = archive.library.find(passage.article_id)
        if article is None or passage.span.of(article.text) != passage.text:
            found.add("inconsistent", f"article {passage.article_id!r}: a passage returned is not a slice of it")
        yield passage.article_id, passage.text


@contextmanager
def _listening(said: list[str]) -> Iterator[None]:
    """Keep what the product warns of: a rebuild must be said, and after a kill there should be none."""

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    handler = Keep(logging.WARNING)
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
