"""What the Library may hold: everything acknowledged, and of what was only submitted the whole or nothing."""

from collections.abc import Iterable, Sequence

from tests.torture.news import Item


class Ledger:
    """For each id the contents that are possible now; None stands for: no such article.

    The first is the one last acknowledged; after it come those submitted since, in order. Not safe to share between
    threads without a lock.
    """

    def __init__(self) -> None:
        self._possible: dict[str, list[Item | None]] = {}
        self._gone: dict[str, list[Item]] = {}
        self.touched: set[str] = set()
        self.n_acknowledged = 0

    def submit(self, article_id: str, item: Item | None) -> None:
        """Note that an article, or its removal, is going to be handed to the product."""
        self._possible.setdefault(article_id, [None]).append(item)
        self.touched.add(article_id)

    def acknowledge(self, article_id: str) -> None:
        """Note that the product has said it is done: what was before can never come back."""
        possible = self._possible[article_id]
        if len(possible) > 1:
            self._drop(article_id, possible.pop(0))
            self.n_acknowledged += 1

    def one_of(self, items: Sequence[Item]) -> None:
        """Note that two wrote an article at once, and both were acknowledged: one of them was the later."""
        article_id = items[0].article.article_id
        if len(self._possible[article_id]) == 1:  # else one of them was not acknowledged, and is possible already
            self._possible[article_id] = list(items)

    def settle(self, article_id: str, item: Item | None) -> None:
        """Note which of the possible contents was found: what has been seen must stay."""
        for other in self._possible[article_id]:
            if other is not item:
                self._drop(article_id, other)
        self._possible[article_id] = [item]

    def possible(self, article_id: str) -> list[Item | None]:
        """What the Library may hold under that id."""
        return list(self._possible[article_id])

    def gone(self, article_id: str) -> list[Item]:
        """What was under that id and must never be returned again."""
        return list(self._gone.get(article_id, []))

    def ids(self) -> list[str]:
        """Every id that was ever submitted."""
        return list(self._possible)

    def present(self) -> list[Item]:
        """The articles that must be there, as far as it is settled."""
        return [items[0] for items in self._possible.values() if len(items) == 1 and items[0] is not None]

    def is_bound(self) -> bool:
        """Whether anything must be there."""
        return any(None not in items for items in self._possible.values())

    def submit_all(self, items: Iterable[Item]) -> None:
        """Note articles that are going to be handed over in this order."""
        for item in items:
            self.submit(item.article.article_id, item)

    def _drop(self, article_id: str, item: Item | None) -> None:
        if item is not None:
            self._gone.setdefault(article_id, []).append(item)
