"""What stands in the boxes of the page, as it was typed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from api.problems import problem
from index.records import Filters


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
