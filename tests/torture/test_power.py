"""The reader of system calls sees what a loss of power would take back."""

from pathlib import Path

import pytest

from tests.torture.power import UnsyncedFiles

NEW = [
    '7 mkdir("/a/lib", 0777)               = 0',
    '7 openat(AT_FDCWD</a>, "/a", O_RDONLY|O_CLOEXEC) = 3</a>',
    "7 fsync(3</a>) = 0",
    '7 openat(AT_FDCWD</a>, "/a/lib/library.sqlite3-wal", O_RDWR|O_CREAT, 0644) = 8</a/lib/library.sqlite3-wal>',
    "7 fdatasync(9</a/lib>) = 0",
]
WRITTEN = '7 pwrite64(8</a/lib/library.sqlite3-wal>, "\\0\\0"..., 24, 32) = 24'
SYNCED = "7 fdatasync(8</a/lib/library.sqlite3-wal>) = 0"
ACKNOWLEDGED = '7 write(1</a/out>, "added first\\n", 12) = 12'
BESIDE = '7 write(4</a/lib/.state.json.7>, "{}", 2) = 2'
SWITCHED = '7 rename("/a/lib/.state.json.7", "/a/lib/state.json") = 0'
WAL = "/a/lib/library.sqlite3-wal"


@pytest.mark.parametrize(
    ("lines", "faults"),
    [
        ([*NEW, WRITTEN, SYNCED, ACKNOWLEDGED], []),
        ([*NEW, WRITTEN, ACKNOWLEDGED], [f"acknowledged before {WAL} was synced"]),
        ([*NEW, WRITTEN, SYNCED, WRITTEN, ACKNOWLEDGED], [f"acknowledged before {WAL} was synced"]),
        ([*NEW, WRITTEN, SYNCED[:-5] + " <unfinished ...>", ACKNOWLEDGED], [f"acknowledged before {WAL} was synced"]),
        (
            [*NEW, WRITTEN, SYNCED[:-5] + " <unfinished ...>", "7 <... fdatasync resumed>) = 0", ACKNOWLEDGED],
            [],
        ),
        ([*NEW[:4], ACKNOWLEDGED], [f"acknowledged before the entry of {WAL} in its folder was synced"]),
        ([*NEW[:2], ACKNOWLEDGED], ["acknowledged before the entry of /a/lib in its folder was synced"]),
        ([BESIDE, SWITCHED], ["/a/lib/state.json was switched to before it was synced"]),
        ([BESIDE, "7 fsync(4</a/lib/.state.json.7>) = 0", SWITCHED], []),
        ([BESIDE, "7 fsync(4</a/lib/.state.json.7>) = -1 EIO (Input/output error)", SWITCHED],
         ["/a/lib/state.json was switched to before it was synced"]),
    ],
)  # fmt: skip
def test_what_is_not_synced_is_seen(lines: list[str], faults: list[str]) -> None:
    unsynced = UnsyncedFiles(Path("/a/lib"))
    for line in lines:
        unsynced.read(line)

    assert unsynced.faults == faults
