"""Settings: the only reader of the environment."""

import os
import re
from difflib import get_close_matches
from pathlib import Path
from typing import Self

from limits import parse_many
from platformdirs import user_cache_path, user_data_path
from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict

from index.export import DEFAULT_MODEL

PREFIX = "QUOTH_"
NO_LIMIT = "off"
_ALIKE = 0.75
"""Likeness, in [0, 1], from which on a variable's name is taken for a misspelt one: QUE is as like QUEUE."""
_OF_KUBERNETES = re.compile(r"_SERVICE_|_PORT(_|$)")
"""In the variables it makes for each service: for one named quoth-embedder, QUOTH_EMBEDDER_PORT and others."""


class Settings(BaseSettings):
    """What can be set from outside, each as an environment variable `QUOTH_...`; options of a command go before."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    library: Path = Field(default_factory=lambda: user_data_path("quoth"), description="The folder of the Library.")
    cache: Path = Field(
        default_factory=lambda: user_cache_path("quoth"), description="Where exported embedders are kept."
    )
    embedder: str = Field(
        default=DEFAULT_MODEL, description="A sentence-transformers model: a folder, or a name in the local hub cache."
    )
    threads: int = Field(default=0, ge=0, le=256, description="Threads of one computation; 0 takes every core.")
    require_keys: bool = Field(
        default=False, description="Whether the server asks for keys even on the loopback address, behind a proxy."
    )
    queue: int = Field(default=8, ge=0, le=10_000, description="Questions that may wait; more are refused at once.")
    deadline_s: float = Field(default=10, gt=0, le=600, description="Seconds after which a question is given up.")
    rate: str = Field(
        default="",
        description='Requests of one key or address: "120/minute", or "off"; by default that with keys, off without.',
    )
    hosts: str = Field(
        default="",
        description="Host names that it answers to, with commas between; by default any with keys, else loopback.",
    )
    log_questions: bool = Field(default=False, description="Whether the text of questions goes into the log.")

    @field_validator("rate")
    @classmethod
    def _is_a_rate(cls, value: str) -> str:
        if value and value != NO_LIMIT:
            try:
                rates = parse_many(value)
            except ValueError:
                rates = []
            if len(rates) != 1 or rates[0].amount < 1:
                raise ValueError(f'{value!r} is no rate: give one like "120/minute", or "{NO_LIMIT}"')
        return value

    @model_validator(mode="after")
    def _no_variable_is_misspelt(self) -> Self:
        """A limit that is not set because of a typo would be missed when it is needed."""
        known = {name.upper() for name in type(self).model_fields}
        given = {name.upper().removeprefix(PREFIX) for name in os.environ if name.upper().startswith(PREFIX)}
        for name in sorted(given - known):
            alike = get_close_matches(name, known, n=1, cutoff=_ALIKE)
            if alike and not _OF_KUBERNETES.search(name):
                message = f"{PREFIX}{name}: there is no such setting; {PREFIX}{alike[0]} is like it (docs/deploy.md)"
                raise PydanticCustomError("misspelt", message)
        return self

    def environment(self) -> dict[str, str]:
        """The variables that give another process of Quoth these settings."""
        return {f"{PREFIX}{name.upper()}": str(value) for name, value in self}

    def with_values(self, **values: object) -> Self:
        """These settings with other values, checked like the rest."""
        return type(self)(**{**dict(self), **values})
