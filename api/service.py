"""The service: the ready objects behind every route."""

from collections.abc import Sequence
from dataclasses import dataclass

from limits import parse

from api.access import DEFAULT_RATE, Access
from api.desk import Desk
from api.keys import KeyStore
from api.settings import NO_LIMIT, Settings
from api.wiring import Archive
from index.intake import Intake
from qa.pipeline import Pipeline

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
_PLACES = 2
"""Questions worked on at once: while one is read on every core, the next is retrieved and the last is cited."""
_WRITES_WAITING = 16
_WRITE_DEADLINE_S = 120
"""An article of 2 MB has 2,500 passages, and 159 are embedded in a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What the API and the page serve. `asking` and `writing` are the desks of model work."""

    archive: Archive
    pipeline: Pipeline
    intake: Intake
    asking: Desk
    writing: Desk
    access: Access
    hosts: Sequence[str]
    log_questions: bool
    version: str


def open_service(archive: Archive, pipeline: Pipeline, settings: Settings, version: str) -> Service:
    """The service over an open archive, as the settings have it."""
    keys = KeyStore(settings.library) if settings.require_keys else None
    rate = settings.rate or (DEFAULT_RATE if keys else NO_LIMIT)
    hosts = tuple(name.strip() for name in settings.hosts.split(",") if name.strip())
    return Service(
        archive=archive,
        pipeline=pipeline,
        intake=archive.intake(),
        asking=Desk("questions", places=_PLACES, waiting=settings.queue, deadline_s=settings.deadline_s),
        writing=Desk("writes", places=1, waiting=_WRITES_WAITING, deadline_s=_WRITE_DEADLINE_S),
        access=Access(keys, None if rate == NO_LIMIT else parse(rate)),
        hosts=hosts or (() if keys else LOOPBACK),
        log_questions=settings.log_questions,
        version=version,
    )
