import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from index.passages import CharSpan
from qa.tidy import tidy_span
from tests.qa.texts import hard_texts

# A text, the part of it that the reader marked, and what stays of it.
WORDS = [
    ("The Turkish army", "urki", "Turkish"),
    ("The Turkish army", "army", "army"),
    ("in the cafe\u0301 today", "cafe", "cafe\u0301"),
    ("हिन्दी भाषा", "ह", "हिन्दी"),
    ("東京 is a city", "東", "東京"),
    ("twenty-one people", "twenty-one", "twenty-one"),
    ("the US-led force", "US", "US"),
    ("- Ankara -", "- Ankara -", "Ankara"),
    ("O’Brien spoke", "O’Brien", "O’Brien"),
    ("O’Brien spoke", "Brien", "O’Brien"),
    ("they don't go", "don", "don't"),
    ("Erdoğan's party", "Erdoğan", "Erdoğan"),
    ("Erdoğan's party", "'s party", "Erdoğan's party"),
    ("Erdoğan's party", "Erdoğan's", "Erdoğan's"),
    ("learn C++ now", "C++", "C++"),
]
NUMBERS = [
    ("It cost 3.6 million.", "6", "3.6 million"),
    ("It cost 3.6 million.", "3", "3.6 million"),
    ("It cost 3.6 million.", "3.6 million.", "3.6 million"),
    ("with 3,600 people", "600", "3,600"),
    ("with 18,300,250 people", "300", "18,300,250"),
    ("with 18\u202f300\u00a0250 people", "300", "18\u202f300\u00a0250"),
    ("in 2015 300 people", "300", "300"),  # with an ordinary blank they are two numbers
    ("is 5'11 tall", "11", "5'11"),
    ("batted .308 then", "308", ".308"),
    ("died.33 more", "33", "33"),
    ("at 3:30 sharp", "30", "3:30"),
    ("a 1/2 share", "2", "1/2"),
    ("the 9/11 attacks", "11", "9/11"),
    ("the 2019/20 season", "2019", "2019"),
    ("the 21st time", "21", "21st"),
    ("twenty-one people", "one", "twenty-one"),
    ("Twenty-member group", "Twenty", "Twenty"),
    ("killed 33 soldiers", "33", "33"),
    ("killed 33 soldiers", "33 soldiers", "33 soldiers"),
    ("the 33-year-old", "33", "33"),
    ("COVID-19 came", "19", "19"),
    ("He scored 3.", "3.", "3"),
    ("in 2019, 33 died", "2019", "2019"),
]
RANGES = [
    ("from 2019-20 on", "-20", "20"),
    ("from 2019-20 on", "2019-20", "2019-20"),
    ("from 1999–2000 on", "1999", "1999"),
    ("won 3–1 there", "1", "1"),
    ("won 3–1 there", "3–1", "3–1"),
    ("rose 10–15 million", "10–15", "10–15 million"),
    ("from 10 to 15 °C", "10 to 15", "10 to 15 °C"),
]
MONEY = [
    ("for $87, he said", "87", "$87"),
    ("for $87, he said", "$87,", "$87"),
    ("for $87 million.", "87", "$87 million"),
    ("for $87 million.", "$87", "$87 million"),
    ("for $87 million.", "million.", "$87 million"),
    ("a $3.6 million deal", "3.6 million", "$3.6 million"),
    ("a $3.6-million deal", "3.6", "$3.6-million"),
    ("a US$2 billion deal", "2 billion", "$2 billion"),
    ("a US$2 billion deal", "US", "US"),
    ("a US$2 billion deal", "US$2", "US$2 billion"),
    ("a A$2 billion deal", "$2 billion", "A$2 billion"),
    ("€ 87 was paid", "87", "€ 87"),
    ("paid Rs. 87 crore", "87", "Rs. 87 crore"),
    ("paid 87 € then", "87", "87 €"),
    ("a loss of -$5bn", "5", "-$5bn"),
    ("£1.5bn was paid", "5bn", "£1.5bn"),
    ("Two hundred thousand fled", "Two", "Two hundred thousand"),
    ("some five Million fled", "five", "five Million"),
    ("millions fled", "millions", "millions"),
]
UNITS = [
    ("at -40 °C today", "40 °C", "-40 °C"),
    ("at -40 °C today", "40", "-40 °C"),
    ("at −40\u202f°C today", "−40", "−40\u202f°C"),
    ("at −40 °C today", "−40 °C", "−40 °C"),
    ("at 40°C.", "40", "40°C"),
    ("at 51° N", "51", "51°"),
    ("at 40 °Commons", "40", "40 °"),
    ("some 10% of it", "10", "10%"),
    ("some 10 % of it", "10", "10 %"),
    ("some 10 percent of it", "10", "10"),  # units in words or letters are the reader's choice
    ("some 12 km away", "12", "12"),
    ("some 12 km away", "12 km", "12 km"),
    ("in 300 BC.", "300", "300 BC"),
    ("in 300 B.C. they", "300", "300 B.C."),
    ("in 300 BCs", "300", "300"),
    ("the 4th century BC", "4th century", "4th century BC"),
    ("at 9 a.m. sharp", "9", "9 a.m."),
    ("at 3:30 p.m.", "3:30 p.m", "3:30 p.m."),
    ("at 10a.m. sharp", "10a.m", "10a.m."),
    ("for \u200bTurkey\u200b now", "\u200bTurkey\u200b", "Turkey"),
    ("killed \u200f33\u200f people", "\u200f33\u200f", "33"),
    ("until 10pm.", "10", "10pm"),
]
DATES = [
    ("on Feb. 28, 2020, it", "Feb. 28, 2020,", "Feb. 28, 2020"),
    ("on Feb. 28, 2020.", "28, 2020", "Feb. 28, 2020"),
    ("on Feb. 28, 2020.", "28,", "Feb. 28"),
    ("on Feb. 28, 2020.", "Feb", "Feb."),
    ("on Feb. 28, 2020.", "Feb. 28,", "Feb. 28"),
    ("on Feb. 28, 2020.", ", 2020", "2020"),
    ("on Feb. 28, 2020.", "2020.", "2020"),
    ("in February 2020", "2020", "2020"),
    ("on February 28th", "28th", "February 28th"),
    ("on 28 February, 2020", "28", "28 February"),
    ("on 28 February 2020", "February", "February"),
    ("the 28th of Sept. was", "28th", "28th of Sept."),
    ("May 4–5 it was", "5", "May 4–5"),
    ("In March 33 died", "33", "33"),  # no month has 33 days
    ("In March 10 million fled", "10", "10 million"),
    ("In March 10,000 fled", "10,000", "10,000"),
    ("In March, 10 died", "10", "10"),
    ("may 5 people", "5", "5"),
]
ABBREVIATIONS = [
    ("the U.S. said", "U.S.", "U.S."),
    ("the U.S. said", "U", "U.S."),
    ("in the U.S., he", "U.S.,", "U.S."),
    ("George Jr. said", "George Jr", "George Jr."),
    ("a Ph.D. at", "Ph.D.", "Ph.D."),
    ("in World War I. Then", "World War I.", "World War I"),
    ("He left.", "left.", "left"),
]
MARKS = [
    ("“yes” he said", "yes”", "yes"),
    ("“yes” he said", "“yes”", "“yes”"),
    ('"yes" he said', 'yes"', "yes"),
    ('said "yes"', '"yes"', '"yes"'),
    ('said "yes" and no', '"yes" and', '"yes" and'),
    ('on "Big Five" then', 'on "Big Five', 'on "Big Five"'),
    ("the (BBC) said", "BBC)", "BBC"),
    ("the (BBC) said", "(BBC)", "(BBC)"),
    ("the (BBC) said", "the (BBC", "the (BBC)"),
    ("the (BBC) said", "BBC) said", "(BBC) said"),
    ("news [sic]", "sic]", "sic"),
    ("« non » dit-il", "« non", "non"),
    ("«\u202fnon\u202f» dit-il", "«\u202fnon", "non"),
    ("„ja“, sagte", "„ja“", "„ja“"),
    ("„ja“, sagte", "ja“", "ja"),
    ("»ja«, sagte", "»ja«", "»ja«"),
    ("((x)", "((x)", "(x)"),
    ("(“no", "(“no", "no"),
    ("(“no) way", "(“no) way", "(“no) way"),
    ("a ‘caged woman’ was", "‘caged woman", "caged woman"),
    ("a ‘caged woman’ was", "caged woman’", "caged woman"),
    ("a ‘caged woman’ was", "‘caged woman’", "‘caged woman’"),
    ("a ‘caged woman’ was", "a ‘caged woman", "a ‘caged woman’"),
    ("a 'caged woman' was", "caged woman'", "caged woman"),
    ("the soldiers’ camp", "soldiers’", "soldiers’"),
    ("the soldiers' camp", "soldiers'", "soldiers'"),
    ("‘the soldiers’ camp’", "‘the soldiers’ camp’", "‘the soldiers’ camp’"),
    ("rock ‘n’ roll", "rock ‘n’ roll", "rock ‘n’ roll"),
    ("a ‘yes\nsoldiers’ camp", "soldiers’", "soldiers’"),  # quotations do not run over lines
]
STRAY = [
    ("—yes— he", "—yes—", "yes"),
    ("• Ankara;", "• Ankara;", "Ankara"),
    ("Ankara!?…", "Ankara!?…", "Ankara"),
    ("a\u3000b ,c", " ,c", "c"),
    ("of − Ankara", "− Ankara", "Ankara"),
]


def place(text: str, part: str) -> CharSpan:
    start = text.index(part)
    return CharSpan(start, start + len(part))


@pytest.mark.parametrize(
    ("text", "part", "expected"),
    [*WORDS, *NUMBERS, *RANGES, *MONEY, *UNITS, *DATES, *ABBREVIATIONS, *MARKS, *STRAY],
)
def test_spans_are_tidied(text: str, part: str, expected: str) -> None:
    tidy = tidy_span(text, place(text, part))
    assert tidy is not None
    assert tidy.of(text) == expected


@pytest.mark.parametrize("text", ["…", "—", "()", "“”", "' '", "‘’", ". , ;", "👍🏽", "$", "°", "\n’"])
def test_a_span_without_letter_or_digit_is_none(text: str) -> None:
    assert tidy_span(text, CharSpan(0, len(text))) is None


@st.composite
def spans(draw: st.DrawFn, texts: st.SearchStrategy[str]) -> tuple[str, CharSpan]:
    text = draw(texts)
    start = draw(st.integers(0, len(text) - 1))
    return text, CharSpan(start, draw(st.integers(start + 1, min(len(text), start + 40))))


ANY_TEXTS = st.one_of(hard_texts(), st.text(alphabet="aI5.,’'‘\"“”„()«»-−$€%°C /\nFeb", min_size=1, max_size=30))


def enclosed_badly(said: str, opening: str, closing: str) -> bool:
    """Whether the text begins or ends with a bracket whose partner it lacks, found by counting."""
    depths = [said[: i + 1].count(opening) - said[: i + 1].count(closing) for i in range(len(said))]
    if said[0] == opening and all(depth > 0 for depth in depths):
        return True
    from_end = [said[i:].count(closing) - said[i:].count(opening) for i in range(len(said))]
    return said[0] == closing or said[-1] == opening or (said[-1] == closing and all(depth > 0 for depth in from_end))


@settings(max_examples=300, deadline=None)
@given(spans(ANY_TEXTS))
@example(("died ‘90s’", CharSpan(5, 10)))
def test_a_tidy_span_is_tidy_and_loses_no_letter(made: tuple[str, CharSpan]) -> None:
    text, span = made
    tidy = tidy_span(text, span)
    if tidy is None:
        assert not any(char.isalnum() for char in span.of(text))
        return
    said = tidy.of(text)
    assert tidy_span(text, tidy) == tidy
    assert said == said.strip()
    assert said[0] not in ",;:!?…–—*|/•"
    assert said[-1] not in ",;:!?…–—*|/•-−"
    assert all(tidy.start <= i < tidy.end for i in range(span.start, span.end) if text[i].isalnum())
    for cut in (tidy.start, tidy.end):
        assert not (0 < cut < len(text) and text[cut - 1].isalnum() and text[cut].isalnum())
    for opening, closing in ("()", "[]", "{}"):
        assert not enclosed_badly(said, opening, closing)


@pytest.mark.parametrize("pair", ["()", "[]", "{}", "“”", "«»", "»«", "„“", "„”", "‘’", '""', "''"])
def test_a_pair_is_completed_from_either_side_and_halves_are_dropped(pair: str) -> None:
    text = f"the {pair[0]}Turkish army{pair[1]} said"
    opening, closing = 4, text.rindex(pair[1])
    # Inside, a single mark that closes is taken for an apostrophe: "army’ said" may be whole.
    completed = opening + 1 if pair in {"‘’", "''"} else opening
    for start, end, expected in (
        (0, closing, text[: closing + 1]),
        (opening + 1, len(text), text[completed:]),
        (opening, closing, "Turkish army"),
        (opening + 1, closing + 1, "Turkish army"),
        (opening, closing + 1, text[opening : closing + 1]),
        (opening, len(text), text[opening:]),
        (0, len("the xTurkish"), f"the {pair[0]}Turkish"),  # its partner is too far away
    ):
        tidy = tidy_span(text, CharSpan(start, end))
        assert tidy is not None
        assert tidy.of(text) == expected


# What no span may cut, and dates: their month and their year may be answers, the day alone may not.
SOLID = (
    "$87 million", "US$2 billion", "A$5bn", "£3.6m", "€ 87", "Rs. 87 crore", "-$5", "two hundred", "twenty-one", "33",
    "3,600", "18\u202f300\u202f250", "−40 °C", "+3 %", "10%", "96.1\u00a0°F", "300 BC", "9 a.m.", "3:30 p.m.", "10pm",
    "1/2", "U.S.", "5'11", ".308",
)  # fmt: skip
MONTH_FIRST = ("Feb. 28", "February 28th", "Sept. 1–3", "May 5")
DAY_FIRST = ("28 February", "1st of Aug.", "3–5 May")
PLAIN = ("and", "the", "said", "(", ")", ",", ";", "“", "”", '"', "—", "‘", "’", "army", "\n")


@st.composite
def news(draw: st.DrawFn) -> tuple[str, list[tuple[CharSpan, str]]]:
    """A text of plain words with numbers and dates between them, and where those stand."""
    text, placed = draw(st.sampled_from(PLAIN)), []
    for kind in draw(st.lists(st.sampled_from(("solid", "month first", "day first")), min_size=1, max_size=5)):
        piece = draw(st.sampled_from({"solid": SOLID, "month first": MONTH_FIRST, "day first": DAY_FIRST}[kind]))
        placed.append((CharSpan(len(text) + 1, len(text) + 1 + len(piece)), kind))
        year = draw(st.sampled_from((", 2020", " 2020", ""))) if kind != "solid" else ""
        text += f" {piece}{year} {draw(st.sampled_from(PLAIN))}"
    return text, placed


@settings(max_examples=300, deadline=None)
@given(news(), st.data())
def test_no_number_loses_its_sign_or_unit_and_no_day_its_month(
    made: tuple[str, list[tuple[CharSpan, str]]], data: st.DataObject
) -> None:
    text, placed = made
    where, _ = data.draw(st.sampled_from(placed))
    cut, other = data.draw(st.integers(where.start, where.end)), data.draw(st.integers(0, len(text) - 1))
    tidy = tidy_span(text, CharSpan(min(cut, other), max(cut, other) + 1))
    if tidy is None:
        return
    for solid, kind in placed:
        cuts = [cut for cut in (tidy.start, tidy.end) if solid.start < cut < solid.end]
        if kind == "solid" and not solid.of(text).startswith("US$"):  # "$2 billion" of it will do
            assert not cuts
        if kind == "month first":
            assert tidy.start not in cuts
        if kind == "day first":
            assert tidy.end not in cuts
