"""Settings: the only reader of the environment."""

from pathlib import Path

from platformdirs import user_cache_path, user_data_path
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from index.export import DEFAULT_MODEL


class Settings(BaseSettings):
    """What can be set from outside, each as an environment variable `QUOTH_...`; options of a command go before."""

    model_config = SettingsConfigDict(env_prefix="QUOTH_", extra="forbid", frozen=True)

    library: Path = Field(default_factory=lambda: user_data_path("quoth"), description="The folder of the Library.")
    cache: Path = Field(
        default_factory=lambda: user_cache_path("quoth"), description="Where exported embedders are kept."
    )
    embedder: str = Field(
        default=DEFAULT_MODEL, description="A sentence-transformers model: a folder, or a name in the local hub cache."
    )
    threads: int = Field(default=0, ge=0, le=256, description="Threads of one computation; 0 takes every core.")
