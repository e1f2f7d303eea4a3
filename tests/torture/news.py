"""Many articles from a few: sentences of real ones under other names, numbers and dates, each with one of its own."""

import json
import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from index.articles import Article, find_files, make_article, read_file
from index.passages import sentences
from tests.torture.product import ROOT

SEEDS = ROOT / "seeds" / "articles"
_NAME = re.compile(r"\b[A-Z][^\W\d_]{2,}\b")
_SYLLABLES = (
    "bra",
    "dun",
    "fel",
    "gor",
    "hest",
    "jar",
    "kel",
    "lim",
    "mov",
    "nax",
    "orv",
    "pry",
    "quil",
    "rost",
    "tav",
)
_ODD = ("a/b", "ü 東", "100%", "it's?", '"q"#')
"""Parts of ids that a path, a URL, SQL or a shell could take for something else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """An article with a sentence that no other article holds, and a question that this sentence answers."""

    article: Article
    own: str
    question: str


class Newsroom:
    """Makes articles, the same ones for the same `rng`."""

    def __init__(self, originals: Sequence[Article], rng: random.Random, *, label: str = "") -> None:
        """`label` begins every new id, so that two newsrooms give no id twice."""
        self._label = label
        self._originals = originals
        self._rng = rng
        self._n = 0

    def flash(self, article_id: str | None = None) -> Item:
        """A short article of one passage, under a new id or the given one."""
        original = self._rng.choice(self._originals)
        found = sentences(original.text)
        begin = self._rng.randrange(len(found))
        return self._item(
            original, [" ".join(s.of(original.text).strip() for s in found[begin : begin + 2])], article_id
        )

    def brief(self) -> Item:
        """Its own sentence alone, under a title: to fill a large Library soon."""
        return self._item(self._rng.choice(self._originals), [], None)

    def story(self, article_id: str | None = None) -> Item:
        """A whole article of several passages."""
        original = self._rng.choice(self._originals)
        return self._item(original, original.text.split("\n\n"), article_id)

    def _item(self, original: Article, paragraphs: Iterable[str], article_id: str | None) -> Item:
        self._n += 1
        names: dict[str, str] = {}
        renamed = [self._renamed(paragraph, names) for paragraph in paragraphs]
        who, where, number = f"{self._name()} {self._name()}", self._name(), self._rng.randrange(10**5, 10**6)
        own = f"{who} signed item {number} for the {where} desk in {self._name()}."
        renamed.insert(self._rng.randrange(len(renamed) + 1), own)
        article = make_article(
            article_id=article_id or self._new_id(original),
            text="\n\n".join(renamed),
            title=self._renamed(original.title, names),
            source=original.source,
            published=date(1990, 1, 1) + timedelta(days=self._rng.randrange(12_000)),
        )
        return Item(article=article, own=own, question=f"Who signed item {number} for the {where} desk?")

    def _new_id(self, original: Article) -> str:
        odd = f"-{self._rng.choice(_ODD)}" if self._rng.random() < 0.1 else ""
        return f"{self._label}{original.article_id}-{self._n}{odd}"

    def _renamed(self, text: str, names: dict[str, str]) -> str:
        """Other names, the same one for the same one, and other numbers: copies would be near-duplicates."""
        text = _NAME.sub(lambda match: names.setdefault(match[0], self._name()), text)
        return re.sub(r"[0-9]", lambda _: str(self._rng.randrange(10)), text)

    def _name(self) -> str:
        return "".join(self._rng.choices(_SYLLABLES, k=3)).capitalize()


def seeded(*seed: object) -> random.Random:
    """Random choices, the same ones for the same seed."""
    return random.Random(repr(seed))  # noqa: S311 (nothing here is secret)


def originals(path: Path = SEEDS) -> list[Article]:
    """The articles in a file or folder that others are made from."""
    files, _ = find_files([path])
    found = [read for file in files for read in read_file(file) if isinstance(read, Article)]
    if not found:
        raise SystemExit(f"{path}: holds no article")
    return found


def write(items: Iterable[Item], file: Path) -> Path:
    """The articles as a file that `quoth add` reads, in this order."""
    records = (
        {
            "id": item.article.article_id,
            "title": item.article.title,
            "text": item.article.text,
            "source": item.article.source,
            "published": str(item.article.published),
        }
        for item in items
    )
    file.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return file
