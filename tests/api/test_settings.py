"""Settings: checked when they are read, and given on whole to a server's workers."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from api.settings import Settings
from tests.api.parts import Quoth


def test_another_process_gets_the_same_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given = Settings(library=tmp_path, rate="5/second", queue=0, require_keys=True, hosts="a.example, b.example")
    for name, value in given.environment().items():
        monkeypatch.setenv(name, value)
    assert Settings() == given


@pytest.mark.parametrize(
    ("name", "value"),
    [("rate", "often"), ("rate", "5"), ("queue", -1), ("deadline_s", 0), ("threads", 1000), ("workers", 2)],
)
def test_a_setting_out_of_bounds_or_unknown_is_refused(name: str, value: object) -> None:
    with pytest.raises(ValidationError) as refused:
        Settings().with_values(**{name: value})
    assert refused.value.errors()[0]["loc"] == (name,)


@pytest.mark.parametrize("rate", ["", "off", "120/minute", "10 per second", "1000/hour"])
def test_rates_are_given_as_people_say_them(rate: str) -> None:
    assert Settings(rate=rate).rate == rate


def test_a_wrong_variable_is_named_by_the_command(quoth: Quoth) -> None:
    quoth.environment["QUOTH_RATE"] = "often"
    assert "QUOTH_RATE" in quoth("list", code=2).stderr


@pytest.mark.parametrize(
    ("name", "meant"),
    [("QUOTH_QUE", "QUEUE"), ("QUOTH_HOST", "HOSTS"), ("quoth_libary", "LIBRARY"), ("QUOTH_RATES", "RATE")],
)
def test_a_misspelt_variable_is_refused_with_what_was_meant(quoth: Quoth, name: str, meant: str) -> None:
    quoth.environment[name] = "8"
    refused = quoth("list", code=2).stderr
    assert f"{name.upper()}: there is no such setting; QUOTH_{meant} is like it" in " ".join(refused.split())


def test_variables_that_others_make_are_let_be(monkeypatch: pytest.MonkeyPatch) -> None:
    of_kubernetes = [
        "QUOTH_SERVICE_HOST",
        "QUOTH_PORT_8000_TCP_ADDR",
        "QUOTH_EMBEDDER_PORT",
        "QUOTH_HOSTS_SERVICE_PORT",
    ]
    for name in [*of_kubernetes, "QUOTH_TEST_CACHE", "QUOTH_QUEUE"]:
        monkeypatch.setenv(name, "9")
    assert Settings() == Settings(queue=9)
    assert Settings().queue == 9
