"""What a person is told of a problem, and what to do."""

from collections.abc import Mapping

from api.problems import Problem

_WORDS: Mapping[str, tuple[str, str]] = {
    "article_not_found": (
        "This article is not in the archive",
        "It was removed, or the link was never right. The archive may still hold what it said.",
    ),
    "address_not_found": (
        "There is nothing here",
        "The address leads nowhere. What you look for may be one click away.",
    ),
    "busy": ("Quoth is busy", "Others are asking at this moment. Your question is kept: try again shortly."),
    "deadline": ("This took too long", "Many are asking at this moment. Your question is kept: try again shortly."),
    "not_ready": ("Quoth is still starting", "It will answer in a few seconds."),
    "library_busy": ("The archive is being written to", "Nothing was changed. Try again in a moment."),
    "article_changed": ("An article changed while it was read", "Nothing can be quoted from it just now. Ask again."),
    "internal": (
        "Something went wrong",
        "This is a mistake in Quoth, not in what you did. The server's log has the reason.",
    ),
}
"""Heading and advice by code; for all others the problem's own words do."""


def heading_of(problem: Problem) -> str:
    """What is wrong, as a heading."""
    return _WORDS[problem.code][0] if problem.code in _WORDS else problem.title


def advice_of(problem: Problem) -> str:
    """What to do, in a sentence."""
    if problem.code in _WORDS:
        return _WORDS[problem.code][1]
    return sentence(problem.detail.strip() or problem.title)


def sentence(message: str) -> str:
    """The message as a sentence: messages are written to follow a name and a colon."""
    return message[:1].upper() + message[1:] + ("" if message.endswith((".", "!", "?")) else ".")
