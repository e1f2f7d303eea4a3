"""Loss of power, by the system calls: what is acknowledged has been synced, and nothing is switched to before it is.

A kill leaves what the system has taken but not yet written to the disk; a loss of power does not. So the calls of a
process are traced, and a file whose content, or whose entry in its folder, has changed since its last sync counts as
lost.
"""

import re
import shutil
from pathlib import Path

from tests.torture.product import quoth
from tests.torture.trials import Bench, Trial

_TRACED = "openat,mkdir,write,pwrite64,pwritev,ftruncate,fsync,fdatasync,rename,renameat,renameat2"
_LINE = re.compile(r"^(\d+) +(.*)$")
_RESUMED = re.compile(r"<\.\.\. (?:fsync|fdatasync) resumed>.*= 0")
_CALL = re.compile(r"(\w+)\((.*)")
_DESCRIPTOR = re.compile(r"\d+<([^>]*)>")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_ACKNOWLEDGED = re.compile(r'1<[^>]*>, "(?:added|replaced|removed) ')
_ARTICLES = 12


class UnsyncedFiles:
    """Which files below a folder a loss of power would take back, as the calls go by."""

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        self._syncing: dict[str, str] = {}
        self._known: set[str] = set()
        self.contents: set[str] = set()
        self.entries: set[str] = set()
        self.faults: list[str] = []
        self.n_acknowledged = 0
        self.n_switched = 0

    def read(self, line: str) -> None:
        """Take a line of `strace -f -y`."""
        process, rest = _LINE.match(line).groups()  # type: ignore[union-attr]
        if _RESUMED.match(rest):
            self._synced(self._syncing.pop(process, ""))
        call = _CALL.match(rest)
        if call is None or " = -1 " in rest:
            return
        name, arguments = call.groups()
        if name in {"fsync", "fdatasync"}:
            self._sync(process, arguments)
        elif name in {"openat", "mkdir"}:
            self._made(name, arguments)
        elif name.startswith("rename"):
            self._switched(arguments)
        else:
            self._written(arguments)

    def _sync(self, process: str, arguments: str) -> None:
        path = _DESCRIPTOR.match(arguments)[1]  # type: ignore[index]
        if "unfinished" in arguments:
            self._syncing[process] = path
        else:
            self._synced(path)

    def _synced(self, path: str) -> None:
        self.contents.discard(path)
        self.entries = {entry for entry in self.entries if str(Path(entry).parent) != path}

    def _made(self, name: str, arguments: str) -> None:
        path = _QUOTED.search(arguments)[1]  # type: ignore[index]
        is_new = path.startswith(self._folder) and path not in self._known
        if is_new and (name == "mkdir" or "O_CREAT" in arguments):
            self._known.add(path)
            self.entries.add(path)

    def _switched(self, arguments: str) -> None:
        old, new = _QUOTED.findall(arguments)
        if not new.startswith(self._folder):
            return
        self.n_switched += 1
        if old in self.contents:
            self.faults.append(f"{new} was switched to before it was synced")
        self.entries.discard(old)
        self.entries.add(new)

    def _written(self, arguments: str) -> None:
        if _ACKNOWLEDGED.match(arguments):
            self._acknowledged()
            return
        path = _DESCRIPTOR.match(arguments)
        if path and path[1].startswith(self._folder):
            self.contents.add(path[1])

    def _acknowledged(self) -> None:
        self.n_acknowledged += 1
        database = f"{self._folder}/library.sqlite3"
        for path in (database, f"{database}-wal"):
            if path in self.contents:
                self.faults.append(f"acknowledged before {path} was synced")
        for path in (self._folder, database, f"{database}-wal"):
            if path in self.entries:
                self.faults.append(f"acknowledged before the entry of {path} in its folder was synced")


def loss_of_power(bench: Bench) -> Trial:
    """Add to a new Library, revise and remove, and follow every write to the disk."""
    trial = Trial(name="what is acknowledged is on the disk (system calls)")
    if shutil.which("strace") is None:
        trial.skipped = "there is no strace"
        return trial
    stage = bench.stage("power")
    items = [stage.newsroom.flash() for _ in range(_ARTICLES)]
    items += [stage.newsroom.flash(item.article.article_id) for item in items[::3]]
    file = stage.file("articles", items)
    log = stage.folder / "calls.log"
    unsynced = UnsyncedFiles(stage.settings.library)
    for command in (["add", "--verbose", str(file)], ["remove", "--", items[-1].article.article_id]):
        done = quoth(stage.settings, *command, prefix=["strace", "-f", "-y", "-o", str(log), "-e", f"trace={_TRACED}"])
        if "ptrace" in done.stderr:
            trial.skipped = done.stderr.strip()
            return trial
        trial.expect(done.returncode == 0, f"quoth {command[0]}: exit code {done.returncode}: {done.stderr}")
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
            unsynced.read(line)
    trial.faults += dict.fromkeys(unsynced.faults)
    trial.expect(unsynced.n_acknowledged > len(items), f"only {unsynced.n_acknowledged} acknowledgements were seen")
    trial.facts.append(f"{unsynced.n_acknowledged} acknowledgements, {unsynced.n_switched} files switched to")
    bench.keep_or_delete("power", trial)
    return trial
