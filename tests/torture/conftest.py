"""What the short form of the torture is made with."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.torture.examine import Examiner
from tests.torture.news import originals, seeded
from tests.torture.trials import Bench


@pytest.fixture(scope="session")
def examiner() -> Iterator[Examiner]:
    """Processes that have imported the product once."""
    opened = Examiner(seed=0)
    yield opened
    opened.close()


@pytest.fixture
def bench(tmp_path: Path, cache_dir: Path, exported: Path, examiner: Examiner) -> Bench:
    """A folder of the test's own; the embedder is exported."""
    assert exported.is_dir()
    return Bench(scratch=tmp_path, cache=cache_dir, originals=originals(), examiner=examiner, rng=seeded(0))
