"""Addresses of the page. Ids are anything that an article's file says, and every one of them must come back whole."""

from urllib.parse import quote, urlsplit

from index.passages import CharSpan


def article_link(article_id: str) -> str:
    """The address of an article: `/articles/ID`, or `/articles?id=ID` where a browser would change that path.

    Browsers take `.` and `..` out of a path even when they are written as %2E, proxies join slashes, and routes end
    at a line end.
    """
    parts = article_id.split("/")
    if "\n" in article_id or any(part in {"", ".", ".."} for part in parts):
        return f"/articles?id={quote(article_id, safe='')}"
    return f"/articles/{quote(article_id, safe='/')}"


def span_link(article_id: str, span: CharSpan) -> str:
    """The permalink of characters `[start, end)` of an article."""
    return f"{article_link(article_id)}#{span.start}-{span.end}"


def marked_link(article_id: str, span: CharSpan) -> str:
    """The same for browsers without scripts, which do not mark what an address names behind its #."""
    link = article_link(article_id)
    return f"{link}{'&' if '?' in link else '?'}mark={span.start}-{span.end}#marked"


def removal_link(article_id: str) -> str:
    """The address that asks whether to remove an article."""
    return f"/remove?id={quote(article_id, safe='')}"


def web_link(url: str) -> str | None:
    """The address, if a browser opens it as a page: one of http or https. An article's file may say anything."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return url if parts.scheme in {"http", "https"} and parts.netloc else None


def local_path(path: str) -> str:
    r"""The path, if it leads to this service and nowhere else; else `/`.

    Browsers read `/\evil` and `/<tab>/evil` as they read `//evil`: as another host.
    """
    if not path.startswith("/") or "\\" in path or not path.isprintable():
        return "/"
    try:
        parts = urlsplit(path)
    except ValueError:
        return "/"
    return "/" if parts.scheme or parts.netloc or path.startswith("//") else path


def parsed_span(written: str) -> CharSpan | None:
    """The span of `START-END`, or None if that is not one."""
    start, dash, end = written.partition("-")
    if not (dash and start.isascii() and start.isdigit() and end.isascii() and end.isdigit()):
        return None
    if len(start) > 12 or len(end) > 12 or int(start) >= int(end):
        return None
    return CharSpan(int(start), int(end))
