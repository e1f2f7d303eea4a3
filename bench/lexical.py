"""What the lexical index is best made of, and what it costs: each option measured alone.

    python -m bench.lexical SQUAD_TRAIN.json.gz [--made 300000]

Method: BM25 alone. The validation questions of SQuAD train are asked of all its paragraphs, and the tune half of the
seeds of the seeds' articles; success@1/5/10 in %. Then the latency, 50 deep, on an index of `--made` generated passages
(`bench.made_texts`), with every fourth of those questions. k1 = 1.2 and b = 0.75 are constants of tantivy.
"""

import json
import re
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import numpy as np
import tantivy
import typer

from bench.made_texts import language_of, made_texts
from eval.datasets import read_dataset
from eval.questions import Question
from eval.retrieval_metrics import holds_answer
from index.articles import Article, find_files, read_file
from index.lexical import STOP_WORDS
from index.passages import Cl100kCounter, Limit, Splitter
from training.data import is_validation

DEPTH = 50
SEEDS = Path("seeds")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_UNITS = re.compile(r"(?<=\d)(?=[^\W\d_])|(?<=[^\W\d_])(?=\d)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """A way of making and asking the index; the default is what ships, but for folding, which is always on there.

    `title` is the weight of the title's own field, or None where it stands in front of the body. `phrases` is the
    weight of neighbouring words of the question, stop words aside.
    """

    title: float | None = None
    stems: bool = True
    folds: bool = True
    drops: bool = True
    numbers: Callable[[str], str] = str
    phrases: float = 0.0


OPTIONS = {
    "shipped": Option(),
    "title of its own, weight 0": Option(title=0.0),
    "title of its own, weight 0.25": Option(title=0.25),
    "title of its own, weight 0.5": Option(title=0.5),
    "title of its own, weight 1": Option(title=1.0),
    "title of its own, weight 0.5, stop words asked for": Option(title=0.5, drops=False),
    "stop words asked for": Option(drops=False),
    "no stemming": Option(stems=False),
    "no folding": Option(folds=False),
    "1,500 is 1500": Option(numbers=lambda text: _THOUSANDS.sub("", text)),
    "1,500 is 1500, 87m is 87 m": Option(numbers=lambda text: _UNITS.sub(" ", _THOUSANDS.sub("", text))),
    "phrases, weight 0.25": Option(phrases=0.25),
    "phrases, weight 0.5": Option(phrases=0.5),
}
TIMED = ("shipped", "stop words asked for", "title of its own, weight 0.5", "phrases, weight 0.25")


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A passage."""

    article_id: str
    title: str
    body: str


class Words:
    """An index made as an option says."""

    def __init__(self, option: Option, texts: Iterable[Text], folder: Path | None = None) -> None:
        """In memory, or in a folder."""
        self._option = option
        self._analyzer = _analyzer(option)
        stems = [self._analyzer.analyze(word) for word in STOP_WORDS]
        self._stop_words = {stem for found in stems for stem in found}
        builder = tantivy.SchemaBuilder()
        builder.add_integer_field("key", stored=False, fast=True)
        for field in ("title", "body"):
            index_option = "position" if option.phrases else "freq"
            builder.add_text_field(field, stored=False, tokenizer_name="words", index_option=index_option)
        self._schema = builder.build()
        self._index = tantivy.Index(self._schema, path=str(folder) if folder else None)
        self._index.register_tokenizer("words", self._analyzer)
        writer = self._index.writer(heap_size=512_000_000, num_threads=1)
        for key, text in enumerate(texts):
            writer.add_document(self._document(key, text))
        writer.commit()
        writer.wait_merging_threads()
        self._index.reload()

    def search(self, question: str) -> list[int]:
        """Passages, best first."""
        asked = self._analyzer.analyze(self._option.numbers(question))
        words = list(dict.fromkeys(asked))
        telling = [word for word in words if word not in self._stop_words]
        parts = list(self._parts(telling if telling and self._option.drops else words, asked))
        query = tantivy.Query.boolean_query([(tantivy.Occur.Should, part) for part in parts])
        searcher = self._index.searcher()
        hits = searcher.search(query, limit=DEPTH, count=False).hits
        keys = searcher.fast_field_values("key", [address for _, address in hits])
        return [int(key) for key in keys if key is not None]

    def _parts(self, words: Sequence[str], asked: Sequence[str]) -> Iterator[tantivy.Query]:
        option, query = self._option, tantivy.Query
        for word in words:
            yield query.term_query(self._schema, "body", word, index_option="freq")
            if option.title:
                title = query.term_query(self._schema, "title", word, index_option="freq")
                yield query.boost_query(title, option.title)
        for pair in pairwise(asked) if option.phrases else ():
            if not self._stop_words.issuperset(pair):
                yield query.boost_query(query.phrase_query(self._schema, "body", list(pair)), option.phrases)

    def _document(self, key: int, text: Text) -> tantivy.Document:
        numbers = self._option.numbers
        if self._option.title is None:
            return tantivy.Document(key=key, body=numbers(f"{text.title}\n{text.body}"))
        return tantivy.Document(key=key, title=numbers(text.title), body=numbers(text.body))


def main(
    train_file: Path, made: Annotated[int, typer.Option(help="Generated passages; 0 leaves latency out.")] = 300_000
) -> None:
    """Print one JSON line for each option and archive."""
    dataset = read_dataset(train_file)
    articles = {article.article_id: article for article in dataset.articles or []}
    asked = [q for q in dataset.questions if q.answers and is_validation(articles[q.article_ids[0]].title)]
    texts = _passages(articles.values())
    tune = [q for q in read_dataset(SEEDS / "questions.jsonl").questions if q.split == "tune" and q.answers]
    files, _ = find_files([SEEDS / "articles"])
    seeds = _passages(article for file in files for article in read_file(file) if isinstance(article, Article))
    for name, option in OPTIONS.items():
        for archive, held, questions in ((train_file.name, texts, asked), ("seeds", seeds, tune)):
            print(json.dumps({"archive": archive, "option": name, **_success(option, held, questions)}), flush=True)
    for name in TIMED if made else ():
        row = _latency(OPTIONS[name], texts, made, [question.question for question in asked[::4]])
        print(json.dumps({"archive": f"{made} generated", "option": name, **row}), flush=True)


def _success(option: Option, texts: Sequence[Text], questions: Sequence[Question]) -> dict[str, float]:
    index = Words(option, texts)
    hits = np.zeros((len(questions), 3))
    for row, question in enumerate(questions):
        found = [texts[key] for key in index.search(question.question)[:10]]
        gold = [t.article_id in question.article_ids and holds_answer(t.body, question.answers) for t in found]
        hits[row] = [any(gold[:k]) for k in (1, 5, 10)]
    return {
        f"success@{k}": round(100 * float(share), 2) for k, share in zip((1, 5, 10), hits.mean(axis=0), strict=True)
    }


def _latency(option: Option, texts: Sequence[Text], n: int, questions: Sequence[str]) -> dict[str, float]:
    bodies = (body for chunk in made_texts(language_of([text.body for text in texts]), n, seed=7) for body in chunk)
    made = (Text(article_id="", title=" ".join(body.split()[:8]), body=body) for body in bodies)
    with tempfile.TemporaryDirectory() as folder:
        index = Words(option, made, Path(folder))
        for question in questions:  # the pages of the files
            index.search(question)
        times = []
        for question in questions:
            began = time.perf_counter()
            index.search(question)
            times.append((time.perf_counter() - began) * 1000)
    return {f"p{p}_ms": round(float(np.percentile(times, p)), 2) for p in (50, 90, 99)}


def _passages(articles: Iterable[Article]) -> list[Text]:
    splitter = Splitter([Limit(counter=Cl100kCounter(), max_tokens=200)], overlap_tokens=40)
    return [
        Text(article_id=article.article_id, title=article.title, body=span.of(article.text))
        for article in articles
        for span in splitter.split(article.text)
    ]


def _analyzer(option: Option) -> tantivy.TextAnalyzer:
    builder = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple()).filter(tantivy.Filter.remove_long(100))
    builder = builder.filter(tantivy.Filter.lowercase())
    if option.folds:
        builder = builder.filter(tantivy.Filter.ascii_fold())
    if option.stems:
        builder = builder.filter(tantivy.Filter.stemmer("english"))
    return builder.build()


if __name__ == "__main__":
    typer.run(main)
