from pathlib import Path

import typer
from typer.main import get_command

from api.cli import app

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_readme_names_every_command() -> None:
    command = get_command(app)
    assert isinstance(command, typer.core.TyperGroup)

    missing = [name for name in command.commands if f"quoth {name}" not in README]
    assert not missing


def test_readme_names_every_make_target_that_users_need() -> None:
    assert all(f"make {target}" in README for target in ("demo", "test", "check", "eval"))


def test_every_decision_has_context_decision_and_consequences() -> None:
    records = sorted((ROOT / "docs" / "adr").glob("*.md"))

    assert records
    for record in records:
        text = record.read_text(encoding="utf-8")
        assert all(f"**{heading}.**" in text for heading in ("Context", "Decision", "Consequences")), record.name
