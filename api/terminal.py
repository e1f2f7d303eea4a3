"""What people read in the terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from api import views
from index.records import ArticleSummary, StoredPassage
from index.retriever import RetrievedPassage
from qa.citation import Citation
from qa.pipeline import Answer, Reply

_EXCERPT_CHARS = 220


def progress() -> Progress:
    """A bar on stderr with the count and the time left."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True))


def show_reply(console: Console, reply: Reply) -> None:
    """The answer, its sentence with the quote marked, where it stands, and its rivals."""
    if reply.answer:
        console.print(
            Text.assemble((reply.answer.text, "bold green"), (f"   {_percent(reply.answer.confidence)} sure", "dim"))
        )
        console.print()
        _show_citation(console, reply.answer.citation)
        _show_copies(console, reply.answer.also_in, indent=2)
    else:
        chance = _percent(reply.no_answer_probability)
        console.print(Text("The archive holds no answer that is sure enough", "bold yellow"))
        console.print(f"[dim]An answer must be {_percent(reply.min_confidence)} sure.[/dim]")
        console.print(f"[dim]The chance that none of the candidates is right: {chance}[/dim]")
    if reply.alternatives:
        console.print()
        console.print("[dim]Other candidates:[/dim]" if reply.answer else "[dim]What came closest:[/dim]")
        for rival in reply.alternatives:
            _show_rival(console, rival)


def show_passages(console: Console, passages: Sequence[RetrievedPassage]) -> None:
    """Ranked passages with their beginnings."""
    for rank, found in enumerate(passages, start=1):
        passage = found.passage
        where = f"{passage.article_id} [{passage.span.start}, {passage.span.end})"
        title = escape(passage.title or passage.article_id)
        console.print(f"[bold]{rank}.[/bold] {title}  [dim]{found.retrieval_score:.2f}[/dim]")
        console.print(f"   {escape(_one_line(passage.text, _EXCERPT_CHARS))}")
        console.print(f"   [dim]{escape(where)}[/dim]")
        _show_copies(console, found.also_in, indent=3)


def show_articles(console: Console, summaries: Sequence[ArticleSummary]) -> None:
    """One article a line: date, id, title."""
    for summary in summaries:
        published = summary.published.isoformat() if summary.published else "          "
        console.print(
            f"{published}  [bold]{escape(summary.article_id)}[/bold]  {escape(summary.title)}", soft_wrap=True
        )


def _show_citation(console: Console, citation: Citation) -> None:
    start, end = citation.span.start - citation.sentence.start, citation.span.end - citation.sentence.start
    sentence = citation.sentence_text
    marked = Text.assemble(
        _flat(sentence[:start]), ("⟦" + _flat(sentence[start:end]) + "⟧", "bold green"), _flat(sentence[end:])
    )
    console.print(Text.assemble("  “", marked, "”"))
    console.print()
    console.print("  " + escape(" · ".join(_facts(citation)) or citation.article_id))
    if citation.url:
        console.print(f"  {escape(citation.url)}", soft_wrap=True)
    where = f"{citation.article_id}, characters {citation.span.start} to {citation.span.end}"
    console.print(f"  [dim]{escape(where)}[/dim]", soft_wrap=True)


def _show_copies(console: Console, copies: Sequence[Citation | StoredPassage], indent: int) -> None:
    for copy in copies:
        facts = ", ".join(_facts(copy))
        where = f"{facts} ({copy.article_id})" if facts else copy.article_id
        console.print(f"{' ' * indent}[dim]also in: {escape(where)}[/dim]", soft_wrap=True)


def _facts(found: Citation | StoredPassage) -> list[str]:
    facts = [found.title, found.source, found.published.isoformat() if found.published else ""]
    return [fact for fact in facts if fact]


def _show_rival(console: Console, rival: Answer) -> None:
    title = rival.citation.title or rival.citation.article_id
    console.print(f"  {_percent(rival.confidence):>5}  {escape(_flat(rival.text))}  [dim]{escape(title)}[/dim]")


def _percent(probability: float) -> str:
    return views.percent(probability).replace("\xa0", " ")  # people look for it in what a program printed


def _flat(text: str) -> str:
    return text.replace("\n", " ")


def _one_line(text: str, max_chars: int) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= max_chars else flat[: max_chars - 1].rstrip() + "…"
