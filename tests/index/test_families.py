"""Families of copies in a Library: found when an article is added, right after every change, and said when asked."""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import closing
from datetime import date
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index.copies import Wording
from index.database import FILE_NAME
from index.library import MOST_COPIES, Library
from index.records import Filters, Moment
from tests.index.parts import SPACE, keys_of, new_article, new_library
from tests.index.seed_texts import PRINTED_TWICE, new_seed

FIRE = "The fire broke out in the roof of the cathedral on Monday evening and was put out after 15 hours by 400 firemen"
FLOOD = "Heavy rain that lasted for three days has flooded the lower town and driven some 9,000 people from their homes"
TWELVE_HOURS = FIRE.replace("15", "12")
FORMAT_1 = """
CREATE TABLE state (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE articles (
    article_key INTEGER PRIMARY KEY AUTOINCREMENT, article_id TEXT NOT NULL UNIQUE, title TEXT NOT NULL,
    source TEXT NOT NULL, url TEXT NOT NULL, published TEXT, text TEXT NOT NULL, sha256 TEXT NOT NULL
);
CREATE TABLE passages (
    passage_key INTEGER PRIMARY KEY AUTOINCREMENT,
    article_key INTEGER NOT NULL REFERENCES articles ON DELETE CASCADE,
    start INTEGER NOT NULL, "end" INTEGER NOT NULL, vector BLOB NOT NULL, generation INTEGER NOT NULL
);
CREATE INDEX passages_by_article ON passages (article_key);
CREATE INDEX passages_by_generation ON passages (generation);
CREATE TABLE removed_passages (passage_key INTEGER PRIMARY KEY, generation INTEGER NOT NULL);
CREATE INDEX removed_by_generation ON removed_passages (generation);
ATTACH ? AS new;
INSERT INTO state SELECT name, CASE name WHEN 'format' THEN '1' ELSE value END FROM new.state;
INSERT INTO articles SELECT article_key, article_id, title, source, url, published, text, sha256 FROM new.articles;
INSERT INTO passages SELECT passage_key, article_key, start, "end", vector, generation FROM new.passages;
INSERT INTO removed_passages SELECT * FROM new.removed_passages;
"""


def partition(library: Library) -> set[frozenset[tuple[str, int]]]:
    """The families that have several members; a passage by its article and its beginning."""
    passages = library.passages(library.changes_since(Moment()).added.tolist())
    families = library.families(list(passages))
    grouped: dict[int, set[tuple[str, int]]] = {}
    for key, family in families.items():
        grouped.setdefault(family, set()).add((passages[key].article_id, passages[key].span.start))
    return {frozenset(members) for members in grouped.values() if len(members) > 1}


def rows(folder: Path, query: str) -> list[tuple[int, ...]]:
    with closing(sqlite3.connect(folder / FILE_NAME)) as connection:
        return connection.execute(query).fetchall()


def is_right(library: Library) -> None:
    """Who leads or is alone has exactly its bands, nobody else has any; a family has one leader, of whom all are copies
    who were compared with it, and one passage of an article.
    """
    everything = library.passages([row[0] for row in rows(library.folder, "SELECT passage_key FROM passages")])
    banded: dict[int, set[int]] = {}
    for band, key in rows(library.folder, "SELECT band, passage_key FROM copy_bands"):
        banded.setdefault(key, set()).add(band)
    families = library.families(list(everything))
    for key, bands in banded.items():
        assert bands == set(Wording.of(everything[key].text).bands())
    for key, passage in everything.items():
        if key not in families:
            assert bool(Wording.of(passage.text).bands()) == (key in banded)
    led = Counter(family for key, family in families.items() if key in banded)
    assert led == Counter(set(families.values()))
    articles = Counter((family, everything[key].article_id) for key, family in families.items())
    assert set(articles.values()) <= {1}


def one(library: Library, article_id: str) -> int:
    (key,) = keys_of(library, article_id)
    return key


def test_passages_of_the_seeds_that_were_printed_twice_are_found(tmp_path: Path) -> None:
    library = new_library(tmp_path, *(new_seed(article_id) for pair in PRINTED_TWICE for article_id in pair))
    assert partition(library) == {
        frozenset({("china-regains-hong-kong-1997-07-01", 540), ("hong-kong-handover-1997-07-01", 555)}),
        frozenset({("china-regains-hong-kong-1997-07-01", 1118), ("hong-kong-handover-1997-07-01", 1133)}),
        frozenset({("euro-cash-launch-2002-01-01", 612), ("euro-day-syndicated-2002-01-02", 626)}),
        frozenset({("euro-cash-launch-2002-01-01", 1081), ("euro-day-syndicated-2002-01-02", 1095)}),
        frozenset({("euro-cash-launch-2002-01-01", 1552), ("euro-day-syndicated-2002-01-02", 1566)}),
        frozenset({("good-friday-agreement-1998-04-11", 525), ("stormont-accord-syndicated-1998-04-12", 503)}),
        frozenset({("good-friday-agreement-1998-04-11", 958), ("stormont-accord-syndicated-1998-04-12", 936)}),
        frozenset({("good-friday-agreement-1998-04-11", 1502), ("stormont-accord-syndicated-1998-04-12", 1480)}),
        frozenset({("juba-celebrates-freedom-2011-07-09", 569), ("south-sudan-independence-2011-07-09", 579)}),
        frozenset({("juba-celebrates-freedom-2011-07-09", 1163), ("south-sudan-independence-2011-07-09", 1173)}),
    }
    is_right(library)


def test_a_copy_joins_and_another_number_does_not(tmp_path: Path) -> None:
    library = new_library(tmp_path, new_article("a", FIRE), new_article("b", f"PARIS - {FIRE}."))
    library.put([new_article("c", FIRE.upper()), new_article("d", TWELVE_HOURS), new_article("e", FLOOD)])
    first, *_ = keys = [one(library, article_id) for article_id in "abcde"]
    assert library.families(keys) == dict.fromkeys(keys[:3], first)
    assert library.families(keys[3:]) == library.families([]) == {}
    assert partition(library) == {frozenset({("a", 0), ("b", 0), ("c", 0)})}
    is_right(library)


def test_passages_of_one_article_are_no_copies_of_each_other(tmp_path: Path) -> None:
    twice = f"{FIRE}.\n{FIRE}."
    library = new_library(tmp_path, new_article("a", twice))
    assert library.families(sorted(keys_of(library, "a"))) == {}
    library.put([new_article("b", twice), new_article("c", FIRE)])
    assert partition(library) == {frozenset({("a", 0), ("b", 0), ("c", 0)}), frozenset({("a", 113), ("b", 113)})}
    is_right(library)


def test_removing_forgets_bands_and_the_next_oldest_leads(tmp_path: Path) -> None:
    library = new_library(tmp_path, *(new_article(name, FIRE) for name in "abc"), new_article("x", FLOOD))
    family = one(library, "a")
    library.remove("a")
    is_right(library)
    library.put([new_article("d", FIRE)])
    keys = [one(library, name) for name in "bcd"]
    assert library.families(keys) == dict.fromkeys(keys, family)
    for name in "bcdx":
        library.remove(name)
        is_right(library)
    assert rows(tmp_path, "SELECT count(*) FROM copy_bands") == [(0,)]


def test_who_is_left_alone_keeps_the_number_and_has_no_copies(tmp_path: Path) -> None:
    library = new_library(tmp_path, new_article("a", FIRE), new_article("b", FIRE))
    family = one(library, "a")
    library.remove("a")
    left = one(library, "b")
    assert (library.families([left]), library.copies([left])) == ({left: family}, {})
    library.put([new_article("c", FIRE)])
    assert set(library.copies([left])) == {left}


def test_replacing_leaves_the_family_or_joins_one(tmp_path: Path) -> None:
    library = new_library(tmp_path, *(new_article(name, FIRE) for name in "abc"))
    library.put([new_article("a", TWELVE_HOURS)])
    assert partition(library) == {frozenset({("b", 0), ("c", 0)})}
    is_right(library)
    library.put([new_article("c", f"{TWELVE_HOURS}.")])
    assert partition(library) == {frozenset({("a", 0), ("c", 0)})}
    is_right(library)


@pytest.mark.parametrize("order", list(permutations("abcd")))
def test_the_order_of_adding_does_not_change_who_belongs_together(tmp_path: Path, order: Sequence[str]) -> None:
    texts = {"a": FIRE, "b": f"{FIRE} again", "c": f"yesterday {FIRE}", "d": TWELVE_HOURS}
    library = new_library(tmp_path, *(new_article(name, texts[name]) for name in order))
    assert partition(library) == {frozenset({("a", 0), ("b", 0), ("c", 0)})}


def test_where_likeness_is_not_transitive_the_first_one_decides(tmp_path: Path) -> None:
    between = FIRE.lower()
    ends = [f"{between} said all who saw", f"in the old town {between}"]
    assert [Wording.of(end).is_copy_of(Wording.of(between)) for end in ends] == [True, True]
    assert not Wording.of(ends[0]).is_copy_of(Wording.of(ends[1]))
    texts = {"a": ends[0], "b": between, "c": ends[1]}
    for order, expected in (("abc", {"a", "b"}), ("cba", {"b", "c"}), ("bac", {"a", "b", "c"})):
        library = new_library(tmp_path / order, *(new_article(name, texts[name]) for name in order))
        assert partition(library) == {frozenset((name, 0) for name in expected)}
        is_right(library)


Change = tuple[str, int, str]


@settings(max_examples=60)
@given(
    changes=st.lists(
        st.tuples(st.sampled_from("abcde"), st.integers(0, 5), st.sampled_from(["", "{0}.\n", "\n", "Extra words.\n"])),
        max_size=14,
    )
)
def test_families_are_right_after_any_changes(tmp_path_factory: pytest.TempPathFactory, changes: list[Change]) -> None:
    texts = [None, FIRE, f"{FIRE} again", FLOOD, f"then {FLOOD}", TWELVE_HOURS]
    library = new_library(tmp_path_factory.mktemp("library"))
    there: dict[str, int] = {}
    for name, number, before in changes:
        text = texts[number]
        if text is not None:
            library.put([new_article(name, before.format(text) + text)])
            there[name] = number
        elif there.pop(name, None) is not None:
            library.remove(name)
        is_right(library)
    kinds = {1: "fire", 2: "fire", 3: "flood", 4: "flood", 5: "twelve hours"}
    alike = [{name for name in there if kinds[there[name]] == kind} for kind in set(kinds.values())]
    # Whoever is in an article twice may be in a family with either; by article, the families are what is alike.
    assert united(partition(library)) == {frozenset(names) for names in alike if len(names) > 1}


def united(families: Iterable[frozenset[tuple[str, int]]]) -> set[frozenset[str]]:
    """The families by article, those that share an article put together."""
    found: list[set[str]] = []
    for family in families:
        names = {name for name, _ in family}
        apart = [other for other in found if not other & names]
        found = [*apart, names.union(*(other for other in found if other & names))]
    return {frozenset(names) for names in found}


def test_copies_come_earliest_first_one_an_article_and_pass_the_filters(tmp_path: Path) -> None:
    library = new_library(
        tmp_path,
        new_article("undated", FIRE, source="Wire"),
        new_article("late", FIRE, published="2019-04-17", source="Herald"),
        new_article("early", FIRE, published="2019-04-15", source="Wire"),
        new_article("shown", FIRE, published="2019-04-16", source="Herald"),
        new_article("other", FLOOD, published="2019-04-16"),
    )
    shown, other = one(library, "shown"), one(library, "other")
    assert [copy.article_id for copy in library.copies([shown, other])[shown]] == ["early", "late", "undated"]
    early = one(library, "early")
    assert library.copies([shown])[shown][0] == library.passages([early])[early]
    assert library.copies([other, 999]) == library.copies([]) == {}
    for filters, expected in (
        (Filters(source="Wire"), ["early", "undated"]),
        (Filters(before=date(2019, 4, 17)), ["early"]),
        (Filters(after=date(2019, 4, 16)), ["late"]),
    ):
        assert [copy.article_id for copy in library.copies([shown], filters)[shown]] == expected
    assert library.copies([shown], Filters(source="Nobody")) == {}


def test_a_text_that_is_everywhere_is_stored_once_and_named_a_few_times(tmp_path: Path) -> None:
    library = new_library(tmp_path, *(new_article(str(n), FIRE) for n in range(40)))
    assert rows(tmp_path, "SELECT count(*) FROM copy_bands") == [(8,)]
    key = one(library, "39")
    assert [copy.article_id for copy in library.copies([key])[key]] == [str(n) for n in range(MOST_COPIES)]


def test_a_library_of_format_1_has_the_families_of_a_new_one(tmp_path: Path) -> None:
    texts = {"a": FIRE, "b": FLOOD, "c": f"{FIRE} again\n{FLOOD}", "d": TWELVE_HOURS, "e": FIRE}
    new = new_library(tmp_path / "new", *(new_article(name, text) for name, text in texts.items()))
    new.remove("d")
    old = tmp_path / "old"
    old.mkdir()
    with closing(sqlite3.connect(old / FILE_NAME, isolation_level=None)) as connection:
        for statement in FORMAT_1.split(";"):
            values = [str(new.folder / FILE_NAME)] if "?" in statement else []
            connection.execute(statement, values)
    migrated = Library(old, create=SPACE)
    for query in (
        "SELECT passage_key, copies FROM passages ORDER BY 1",
        "SELECT band, passage_key FROM copy_bands ORDER BY 1, 2",
    ):
        assert rows(old, query) == rows(new.folder, query)
    assert partition(migrated) == {frozenset({("a", 0), ("c", 0), ("e", 0)}), frozenset({("b", 0), ("c", 118)})}
    is_right(migrated)
