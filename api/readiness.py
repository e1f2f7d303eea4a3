"""Whether the server can answer: after its models have been used once, until it is told to stop."""

import logging
import threading
from typing import Self

from index.derived import DerivedIndexes
from index.follower import Follower
from qa.pipeline import Pipeline

_log = logging.getLogger(__name__)


class Readiness:
    """Warms the models in a thread and keeps the indexes up to date while it is open. A context manager."""

    def __init__(self, pipeline: Pipeline, derived: DerivedIndexes) -> None:
        self._pipeline = pipeline
        self._follower = Follower(derived)
        self._warming = threading.Thread(target=self._warm_up, name="quoth-warm-up", daemon=True)
        self._is_warm = threading.Event()
        self._is_stopping = threading.Event()

    @property
    def is_ready(self) -> bool:
        """Whether questions are answered as fast as they will be."""
        return self._is_warm.is_set() and not self._is_stopping.is_set()

    def __enter__(self) -> Self:
        self._follower.__enter__()
        self._warming.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_stopping.set()
        self._warming.join()  # a process that ends while a model computes is aborted
        self._follower.__exit__()

    def _warm_up(self) -> None:
        try:
            self._pipeline.warm_up()
        except Exception:  # noqa: BLE001 (whatever it is, the server goes on and says that it is not ready)
            _log.exception("the models do not work: the server will never be ready")
        else:
            self._is_warm.set()
