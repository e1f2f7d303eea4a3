"""Several commands of the product in one process, one after another: python -m tests.torture.probe REPLIES < COMMANDS.

It is a process because its parent must see a crash, and one for all of them because starting one takes a second.
"""

import contextlib
import io
import json
import logging
import sys
import traceback
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from api.cli import main

TRACEBACK = 70
"""The code of a command that ended with an exception that nobody turned into a message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a command did: its exit code and what it wrote to stdout and stderr."""

    command: Sequence[str]
    code: int
    output: str
    errors: str


def run(command: Sequence[str]) -> Reply:
    """Run `quoth COMMAND` in this process, as the console script does."""
    output, errors = io.StringIO(), io.StringIO()
    code = 0
    sys.argv = ["quoth", *command]
    logging.getLogger().handlers.clear()  # the command before has bound its own stderr
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        try:
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        except BaseException:  # noqa: BLE001 (a panic of a native library is no Exception)
            traceback.print_exc()
            code = TRACEBACK
    return Reply(command=command, code=code, output=output.getvalue(), errors=errors.getvalue())


if __name__ == "__main__":
    with Path(sys.argv[1]).open("w", encoding="utf-8") as replies:
        for line in sys.stdin:
            replies.write(json.dumps(asdict(run(json.loads(line)))) + "\n")
            replies.flush()
