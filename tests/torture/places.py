"""Where a Library may find itself: on a disk that is full, or that is read-only."""

import hashlib
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from api.settings import Settings
from tests.torture.judge import answered
from tests.torture.matrix import run_commands
from tests.torture.news import Item
from tests.torture.probe import Reply
from tests.torture.product import SIGKILLED, Victim, quoth
from tests.torture.server import Server
from tests.torture.trials import Bench, Stage, Trial, is_clear

_ROOM_KB = 64_000
STATES = ("closed", "killed", "bare")
_FULL = ("no space", "disk is full", "disk full")


class CannotMountError(Exception):
    """This computer or this user lets no disk be mounted; the message says why."""


class Disk:
    """A small disk in memory, mounted at a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def remount(self, options: str) -> None:
        """Change its size or whether it can be written."""
        _mount("-o", f"remount,{options}", str(self.folder))


@contextmanager
def small_disk(folder: Path, size_kb: int) -> Iterator[Disk]:
    """A disk of that size, for as long as the block runs.

    Raises:
        CannotMountError: it cannot be mounted.
    """
    folder.mkdir(parents=True)
    _mount("-t", "tmpfs", "-o", f"size={size_kb}k", "tmpfs", str(folder))
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)


def _mount(*arguments: str) -> None:
    try:
        done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    except OSError as error:
        raise CannotMountError(f"mount: {error}") from error
    if done.returncode:
        raise CannotMountError(done.stderr.strip())


def full_disk(bench: Bench, size_kb: int, n_articles: int = 160) -> Trial:
    """Add until the disk is full, see that all acknowledged is there, make room, and add on."""
    trial = Trial(name=f"full disk of {size_kb} KB")
    folder = trial.name.replace(" ", "-")
    try:
        with small_disk(bench.scratch / f"{folder}-mount", size_kb) as disk:
            _fill(trial, disk, bench.stage(folder, disk.folder / "library"), n_articles)
    except CannotMountError as error:
        trial.skipped = str(error)
    bench.keep_or_delete(folder, trial)
    return trial


def _fill(trial: Trial, disk: Disk, stage: Stage, n_articles: int) -> None:
    items: list[Item] = []
    for number in range(n_articles):  # a revision of a new article ends a transaction: many small ones
        revised = items[-1].article.article_id if number % 8 == 7 else None
        items.append(stage.newsroom.flash(revised))
    victim = Victim(stage.settings, "add", "--verbose", stage.file("articles", items))
    code, errors = victim.end(kill=False), victim.errors()
    n_done = stage.hear(victim.lines)
    trial.facts.append(f"{n_done} of {len(items)} acknowledged; then: {errors.strip()[-200:]}")
    trial.expect(code == 1, f"quoth add on a full disk: exit code {code}")
    trial.expect(is_clear(errors, *_FULL), f"quoth add on a full disk does not say so: {errors[-1000:]}")
    if (stage.settings.library / "library.sqlite3").exists():
        stage.examine_copy(trial)
    _ask_when_full(trial, stage)
    disk.remount(f"size={_ROOM_KB}k")
    stage.add("again", items)
    stage.examine(trial)


def _ask_when_full(trial: Trial, stage: Stage) -> None:
    present = stage.ledger.present()
    if not present:
        return
    wrong = stage.finds(present[0])
    trial.expect(not wrong, f"while the disk is full: {wrong}")
    checked = quoth(stage.settings, "check")
    trial.expect("Traceback" not in checked.stderr, f"quoth check on a full disk: {checked.stderr}")


def read_only(bench: Bench, state: str) -> Trial:
    """Ask in a read-only folder, and see that adding says why it cannot.

    Args:
        bench: what it is made with.
        state: of the Library: "closed" well, "killed" with a log that holds acknowledged articles, or "bare": the same
            without any index.
    """
    trial = Trial(name=f"read-only folder, {state}")
    folder = f"read-only-{state}"
    try:
        with small_disk(bench.scratch / f"{folder}-mount", _ROOM_KB) as disk:
            _try_read_only(trial, disk, bench.stage(folder, disk.folder / "library"), state)
    except CannotMountError as error:
        trial.skipped = str(error)
    bench.keep_or_delete(folder, trial)
    return trial


def _try_read_only(trial: Trial, disk: Disk, stage: Stage, state: str) -> None:
    first, late = [stage.newsroom.flash() for _ in range(12)], [stage.newsroom.flash() for _ in range(4)]
    stage.add("first", first)
    if state == "closed":
        stage.add("late", late)
    else:
        stage.add_and_kill("late", late)
    library = stage.settings.library
    if state == "bare":
        for name in ("dense", "lexical"):
            shutil.rmtree(library / name, ignore_errors=True)
    stage.examine_copy(trial)
    asked = [first[0], late[-1]]
    copy = shutil.copytree(library, stage.folder / "writable")
    truth = _answers(Settings(library=copy, cache=stage.settings.cache), asked, stage.folder)
    before = _hashes(library)
    disk.remount("ro")
    answers = _answers(stage.settings, asked, stage.folder)
    trial.facts += [f"said: {reply.errors}" for reply in answers if reply.errors]
    is_same = [reply.code for reply in answers] == [0, 0] and list(map(answered, answers)) == list(map(answered, truth))
    trial.expect(is_same, f"answers are not those of a writable copy: {answers}")
    checked = quoth(stage.settings, "check")
    is_missed = state == "bare" and checked.returncode == 1 and "lexical" in checked.stdout
    trial.expect(checked.returncode == 0 or is_missed, f"quoth check: {checked.stdout}{checked.stderr}")
    _refuses_to_write(trial, stage, late[-1])
    trial.expect(_hashes(library) == before, "something was written")


def _answers(settings: Settings, items: Sequence[Item], folder: Path) -> Sequence[Reply]:
    commands = [["ask", item.question, "--json", "--min-confidence", "0"] for item in items]
    replies, crash = run_commands(settings, commands, folder / "replies")
    if crash:
        raise RuntimeError(f"{settings.library}: {crash}")
    return replies


def _refuses_to_write(trial: Trial, stage: Stage, item: Item) -> None:
    more = stage.folder / "more.txt"
    more.write_text("One more article.", encoding="utf-8")
    for command in (["add", str(more)], ["remove", item.article.article_id], ["check", "--repair"]):
        done = quoth(stage.settings, *command)
        is_said = done.returncode == 1 and is_clear(done.stderr, "read-only", "read only")
        trial.expect(is_said, f"quoth {command[0]}: exit code {done.returncode}: {done.stderr[-1000:]}")
    server = Server(stage.settings)
    if server.wait_until_ready():
        trial.expect(item.article.article_id in server.found(item), "a server does not find an article")
        status, document = server.put(stage.newsroom.flash())
        trial.expect(status >= 400 and "read-only" in str(document), f"PUT: {status} {document}")
    code = server.process.end(kill=True)
    errors = server.process.errors()
    trial.expect(code == SIGKILLED and "Traceback" not in errors, f"quoth serve: exit code {code}: {errors[-1000:]}")


def _hashes(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files if "-shm" not in path.name}
