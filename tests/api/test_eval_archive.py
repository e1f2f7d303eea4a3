import itertools
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from api.eval_archive import Splitting, built_archive, chosen_questions, dataset_archive, library_articles
from api.settings import Settings
from api.wiring import Archive
from eval.questions import Dataset, Question
from index.articles import Article, make_article
from index.errors import DatasetError, LibraryError
from index.intake import OVERLAP_TOKENS, PASSAGE_TOKENS
from index.library import Library
from tests.conftest import IDLIB, SUEZ, add

LONG = make_article(article_id="long", title="Weather", text="The weather stayed mild all day in port. " * 60)
ARTICLES = [IDLIB, SUEZ, LONG]


@pytest.fixture
def own(settings: Settings, tmp_path: Path) -> Settings:
    """Settings with a cache of this test's own, which has the embedder already."""
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "embedders").symlink_to((settings.cache / "embedders").resolve())
    return settings.model_copy(update={"cache": tmp_path / "cache"})


def folders(own: Settings) -> list[str]:
    return sorted(folder.name for folder in (own.cache / "eval").iterdir())


def held(library: Library) -> dict[str, tuple[str, str]]:
    found = (library.get(summary.article_id) for summary in library.articles())
    return {article.article_id: (article.title, article.text) for article in found}


def expected(articles: Sequence[Article]) -> dict[str, tuple[str, str]]:
    return {article.article_id: (article.title, article.text) for article in articles}


def test_an_archive_is_built_once_from_the_articles_and_found(own: Settings) -> None:
    archive = built_archive(ARTICLES, own, Splitting())
    assert held(archive.library) == expected(ARTICLES)
    found = archive.retriever.retrieve("How long is the Ever Given?", 1)
    assert [f.passage.article_id for f in found] == ["suez"]
    again = built_archive(ARTICLES, own, Splitting())
    assert again.library.folder == archive.library.folder
    assert again.library.generation == archive.library.generation  # nothing was written
    assert len(folders(own)) == 1
    assert not own.library.exists()


@pytest.mark.parametrize(
    "other",
    [
        [IDLIB, SUEZ],
        [IDLIB, SUEZ, make_article(article_id="long", title="Weather", text=LONG.text + "Still.")],
        [IDLIB, SUEZ, make_article(article_id="long", title="Other", text=LONG.text)],
        [IDLIB, SUEZ, make_article(article_id="other", title="Weather", text=LONG.text)],
    ],
)
def test_other_articles_are_another_archive(own: Settings, other: list[Article]) -> None:
    first = built_archive(ARTICLES, own, Splitting())
    second = built_archive(other, own, Splitting())
    assert len(folders(own)) == 2
    assert held(second.library) == expected(other)
    assert held(first.library) == expected(ARTICLES)


def test_another_splitting_is_another_archive(own: Settings) -> None:
    counts = {
        (passage_tokens, overlap_tokens): built_archive(
            ARTICLES, own, Splitting(passage_tokens=passage_tokens, overlap_tokens=overlap_tokens)
        ).library.counts()
        for passage_tokens, overlap_tokens in ((PASSAGE_TOKENS, 40), (100, 40), (100, 0))
    }
    assert len(folders(own)) == 3
    assert {n_articles for n_articles, _ in counts.values()} == {3}
    assert counts[PASSAGE_TOKENS, 40][1] < counts[100, 0][1] < counts[100, 40][1]
    assert Splitting() == Splitting(passage_tokens=PASSAGE_TOKENS, overlap_tokens=OVERLAP_TOKENS)
    library = Library(own.cache / "eval" / next(name for name in folders(own) if name.endswith("-100-0")))
    spans = [passage.span for passage in library.article_passages("long")]
    assert all(before.end == after.start for before, after in itertools.pairwise(spans))


def test_a_build_that_was_stopped_goes_on(own: Settings) -> None:
    whole = built_archive(ARTICLES, own, Splitting())
    passages = {article.article_id: whole.library.article_passages(article.article_id) for article in ARTICLES}
    sha256 = whole.library.content_sha256()
    whole.library.remove("suez")
    whole.derived.refresh()
    assert whole.retriever.retrieve("How long is the Ever Given?", 1)[0].passage.article_id != "suez"

    resumed = built_archive(ARTICLES, own, Splitting())
    assert resumed.library.content_sha256() == sha256
    assert resumed.retriever.retrieve("How long is the Ever Given?", 1)[0].passage.article_id == "suez"
    # What was there was not cut and embedded again: its passages kept their keys.
    for kept in ("idlib", "long"):
        assert resumed.library.article_passages(kept) == passages[kept]


def test_articles_that_were_stored_but_not_indexed_are_found(own: Settings) -> None:
    stopped = built_archive([IDLIB, SUEZ], own, Splitting())
    removed = [path for path in stopped.library.folder.iterdir() if path.is_dir()]
    assert [path.name for path in removed] == ["lexical"]
    for index in removed:
        shutil.rmtree(index)
    found = built_archive([IDLIB, SUEZ], own, Splitting()).retriever.retrieve("Suez Canal", 2)
    assert {f.passage.article_id for f in found} == {"idlib", "suez"}


def test_a_dataset_is_asked_of_its_own_articles_or_of_the_library(own: Settings, archive: Archive) -> None:
    brought = dataset_archive(Dataset(questions=[], articles=[LONG]), own)
    assert held(brought.library) == expected([LONG])
    asked = dataset_archive(Dataset(questions=[], articles=None), own)
    assert asked.library.folder == own.library == archive.library.folder
    assert held(asked.library) == expected([IDLIB, SUEZ])


def test_a_library_that_is_not_there_is_not_made(own: Settings) -> None:
    with pytest.raises(LibraryError, match="no Library here yet"):
        dataset_archive(Dataset(questions=[], articles=None), own)
    with pytest.raises(LibraryError, match="no Library here yet"):
        library_articles(own)
    assert not own.library.exists()


def test_the_articles_of_a_library_by_id(own: Settings, archive: Archive) -> None:
    add(archive, LONG)
    assert library_articles(own) == [IDLIB, LONG, SUEZ]


def asked(name: str, split: str = "") -> Question:
    return Question(question_id=name, question=f"Where is {name}?", answers=(), article_ids=(), split=split)


def test_questions_of_a_split_and_a_sample_of_them() -> None:
    tune, report = [asked(f"t{i}", "tune") for i in range(20)], [asked(f"r{i}", "report") for i in range(20)]
    dataset = Dataset(questions=[*tune, *report], articles=None)
    assert chosen_questions(dataset, split="", limit=None, seed=7) == [*tune, *report]
    assert chosen_questions(dataset, split="report", limit=None, seed=7) == report
    few = chosen_questions(dataset, split="report", limit=5, seed=7)
    assert len(few) == 5
    assert set(few) < set(report)
    with pytest.raises(DatasetError, match="no question has the split 'dev'; there are: report, tune"):
        chosen_questions(dataset, split="dev", limit=None, seed=7)
    with pytest.raises(DatasetError, match="there are: none"):
        chosen_questions(Dataset(questions=[asked("q")], articles=None), split="tune", limit=None, seed=7)
    with pytest.raises(DatasetError, match="there is no question to ask"):
        chosen_questions(Dataset(questions=[], articles=None), split="", limit=None, seed=7)
