"""What stands in the boxes of the page, as it was typed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from urllib.parse import parse_qsl

from starlette.requests import Request

from api.problems import problem
from index.records import Filters

_MAX_FORM_BYTES = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionForm:
    """The question box and its filters."""

    question: str = ""
    after: str = ""
    before: str = ""
    source: str = ""

    @classmethod
    def of(cls, parameters: Mapping[str, str]) -> "QuestionForm":
        """The form of an address."""
        given = {name: parameters.get(name, "").strip() for name in ("q", "after", "before", "source")}
        return cls(question=given["q"], after=given["after"], before=given["before"], source=given["source"])

    @property
    def parameters(self) -> dict[str, str]:
        """The form as parameters of an address."""
        return {"q": self.question, "after": self.after, "before": self.before, "source": self.source}

    @property
    def has_filters(self) -> bool:
        """Whether any filter is set."""
        return bool(self.after or self.before or self.source)

    @property
    def filters(self) -> Filters:
        """The filters.

        Raises:
            ProblemError: a date is none; the problem names its field.
        """
        after, before = _date("after", self.after), _date("before", self.before)
        if after and before and after >= before:
            message = "No day is on or after the first date and before the second."
            raise problem("invalid_request", message, field="after")
        return Filters(after=after, before=before, source=self.source or None)


def _date(field: str, written: str) -> date | None:
    try:
        return date.fromisoformat(written) if written else None
    except ValueError:
        message = f"“{written[:40]}” is not a date: give one like 2020-02-28."
        raise problem("invalid_request", message, field=field) from None


async def small_form(request: Request) -> dict[str, str]:
    """The fields of a form with no files, in UTF-8.

    Not with the framework's parser, which decodes by whatever name of a code a stranger gives: some take minutes.

    Raises:
        ProblemError: it is no form of a page, or longer than one.
    """
    body = await request.body()
    if len(body) > _MAX_FORM_BYTES:
        raise problem("too_large", f"a form here has at most {_MAX_FORM_BYTES} bytes")
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=10))
    except ValueError:
        raise problem("invalid_request", "the form cannot be read: send it as a browser does") from None
