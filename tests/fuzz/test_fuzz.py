"""A short form of `python -m tests.fuzz`."""

from pathlib import Path

import pytest

from api.settings import Settings
from tests.fuzz.__main__ import SEEDS, fuzz


@pytest.mark.enable_socket
def test_no_request_meets_anything_but_what_the_document_says(settings: Settings, tmp_path: Path) -> None:
    code, counts = fuzz(settings, SEEDS, tmp_path, examples=3, seed=1, out=tmp_path / "report")

    assert code == 0, (tmp_path / "report" / "report.txt").read_text(encoding="utf-8")
    assert counts.total() > 200
    assert {200, 201, 204, 404, 405, 422} <= set(counts)
    assert not any(status >= 500 for status in counts)
