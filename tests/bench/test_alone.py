import math
import time

import pytest

from bench.alone import alone


def test_returns_what_the_function_returns() -> None:
    assert alone(60, math.hypot, 3.0, 4.0) == 5.0


def test_a_function_that_takes_too_long_is_stopped() -> None:
    assert alone(0.1, time.sleep, 600) is None


def test_a_function_that_fails_is_no_answer() -> None:
    with pytest.raises(EOFError):
        alone(60, math.sqrt, -1.0)
