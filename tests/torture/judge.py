"""What became of the answers of a damaged Library: right, refused by name, or a fault of the product."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePath
from typing import Any

from index.articles import Article
from tests.torture.probe import TRACEBACK, Reply


class Outcome(StrEnum):
    """The first four are what must be; every other one is a fault."""

    SAME = "same answers"
    REBUILT = "same answers, and said what was rebuilt"
    CHECKED = "no wrong answer, named by check"
    REFUSED = "refused, naming the file"
    UNNAMED = "refused without naming the file"
    UNREPAIRED = "not repaired by check --repair"
    AGAIN = "rebuilt again and again"
    UNNOTICED = "answers differ and nothing is said"
    CITATION = "wrong citation"
    TRACEBACK = "traceback"
    CRASH = "crash"
    HANG = "hang"

    @property
    def is_right(self) -> bool:
        """Whether the product may do this."""
        return self in {Outcome.SAME, Outcome.REBUILT, Outcome.CHECKED, Outcome.REFUSED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What an undamaged Library answers, and the articles that it holds.

    A question has an answer with the indexes as they are and one with the indexes made anew: until it has tidied up,
    an index counts removed passages among those that make a word common, and scores differ in the second decimal.
    """

    answers: Mapping[str, Sequence[dict[str, Any]]]
    articles: Mapping[str, Article]

    @classmethod
    def of(cls, replies: Sequence[Reply], articles: Sequence[Article]) -> "Truth":
        """From the replies of the Library before it is damaged."""
        answers: dict[str, list[dict[str, Any]]] = {}
        for reply in replies:
            if reply.command[0] == "ask":
                answers.setdefault(reply.command[1], []).append(answered(reply))
        return cls(answers=answers, articles={article.article_id: article for article in articles})


def answered(reply: Reply) -> dict[str, Any]:
    """The document of `quoth ask --json` without what differs from run to run."""
    document: dict[str, Any] = json.loads(reply.output)
    return {name: value for name, value in document.items() if name != "timings_ms"}


def judge(file: str, replies: Sequence[Reply], truth: Truth) -> tuple[Outcome, str]:
    """What happened, and the words that show it. `file` is the damaged one, by its path in the Library."""
    for reply in replies:
        if reply.code == TRACEBACK or "Traceback" in reply.errors:
            return Outcome.TRACEBACK, reply.errors[-600:]
    asks = [reply for reply in replies if reply.command[0] == "ask"]
    checks = [reply for reply in replies if reply.command[0] == "check"]
    given = [reply for reply in asks if reply.code in {0, 3}]
    for reply in given:
        for fault in citation_faults(answered(reply), truth.articles):
            return Outcome.CITATION, fault
    for reply in asks:
        if reply not in given and not _names(file, reply.errors):
            return Outcome.UNNAMED, reply.errors
    if len(given) < len(asks):
        return Outcome.REFUSED, next(reply.errors for reply in asks if reply not in given)
    return _judge_given(file, given, checks, truth)


def _judge_given(file: str, given: Sequence[Reply], checks: Sequence[Reply], truth: Truth) -> tuple[Outcome, str]:
    said = [reply.errors for reply in given if reply.errors]
    found = "".join(reply.output + reply.errors for reply in checks if reply.code)
    is_derived = "/" in file
    if is_derived and checks[-1].code:
        return Outcome.UNREPAIRED, checks[-1].output + checks[-1].errors
    if len(said) > 1:
        return Outcome.AGAIN, "".join(said)
    if any(answered(reply) not in truth.answers[reply.command[1]] for reply in given):
        is_noticed = _names(file, found) and not is_derived
        return (Outcome.CHECKED, found) if is_noticed else (Outcome.UNNOTICED, "".join(said) or found)
    if said:
        return Outcome.REBUILT, said[0]
    if found:
        return (Outcome.CHECKED if _names(file, found) else Outcome.UNNAMED), found
    return Outcome.SAME, ""


def _names(file: str, said: str) -> bool:
    """Whether a message leads to the file: by its name, by its folder if it is derived, or by the article in it."""
    path = PurePath(file)
    if len(path.parts) > 1:
        return path.name in said or str(path.parent) in said
    return path.name.removesuffix("-wal").removesuffix("-shm") in said or "article '" in said


def citation_faults(document: Mapping[str, Any], articles: Mapping[str, Article]) -> Iterator[str]:
    """Everything in an answer and its rivals that does not agree with the articles, a sentence each."""
    for answer in [document["answer"], *document["alternatives"]]:
        if answer is None:
            continue
        citation = answer["citation"]
        article = articles.get(citation["article_id"])
        if article is None:
            yield f"{citation['article_id']!r} is no article"
            continue
        if not article.text[citation["start"] : citation["end"]] == citation["quote"] == answer["text"]:
            yield f"{citation['quote']!r} does not stand at {citation['start']} in {citation['article_id']!r}"
        cited = {name: citation[name] for name in ("title", "source", "url", "published", "sha256")}
        published = str(article.published) if article.published else None
        true = dict(zip(cited, (article.title, article.source, article.url, published, article.sha256), strict=True))
        for name, value in cited.items():
            if value != true[name]:
                yield f"{citation['article_id']!r}: {name} is cited as {value!r}, and is {true[name]!r}"
