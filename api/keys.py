"""Keys: who may ask, write and administer. The file holds hashes; a key itself is shown once, when it is made."""

import hashlib
import hmac
import json
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from filelock import FileLock
from pydantic import TypeAdapter, ValidationError

from index.errors import InputError, LibraryError
from index.files import write_synced

FILE_NAME = "keys.json"
MAX_NAME_CHARS = 100
_PREFIX = "quoth"


class Scope(StrEnum):
    """What a key allows."""

    ASK = "ask"
    WRITE = "write"
    ADMIN = "admin"


EVERY_SCOPE = frozenset(Scope)


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """What is kept of a key; `sha256` is of its secret, which has 256 random bits and needs no slower hash."""

    key_id: str
    name: str
    scopes: frozenset[Scope]
    sha256: str
    made: datetime


_KEYS = TypeAdapter(list[Key])


class KeyStore:
    """The keys of a Library, in a file beside it. What another process makes or revokes counts at once."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / FILE_NAME
        self._read: tuple[tuple[int, int, int], list[Key]] | None = None

    def keys(self) -> Sequence[Key]:
        """Every key, in the order they were made.

        Raises:
            LibraryError: the file is damaged; nobody is let in until it is mended.
        """
        try:
            stat = self.file.stat()
        except FileNotFoundError:
            return []
        mark = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        if self._read is None or self._read[0] != mark:
            self._read = mark, self._parsed()
        return self._read[1]

    def find(self, key: str) -> Key | None:
        """The key with this secret, or None. Takes as long for a wrong secret as for the right one."""
        prefix, _, rest = key.partition("_")
        key_id, _, secret = rest.partition("_")
        known = next((each for each in self.keys() if each.key_id == key_id), None)
        digest = hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()
        is_right = hmac.compare_digest(digest, known.sha256 if known else "0" * len(digest))
        return known if known and is_right and prefix == _PREFIX else None

    def add(self, name: str, scopes: Iterable[Scope]) -> str:
        """Make a key and return it: it is nowhere else, and cannot be shown again.

        Raises:
            InputError: there is a key of that name, or the name or the scopes are missing.
        """
        if not name.strip() or len(name) > MAX_NAME_CHARS or not name.isprintable():
            raise InputError(f"name {name[:50]!r}: give 1 to {MAX_NAME_CHARS} printable characters")
        if not (allowed := frozenset(scopes)):
            raise InputError(f"scope: give at least one of {', '.join(Scope)}")
        key_id, secret = secrets.token_hex(4), secrets.token_urlsafe(32)
        with self._locked():
            if any(each.name == name for each in self.keys()):
                raise InputError(f"there is a key named {name!r}: revoke it first, or take another name")
            key = Key(
                key_id=key_id,
                name=name,
                scopes=allowed,
                sha256=hashlib.sha256(secret.encode()).hexdigest(),
                made=datetime.now(UTC).replace(microsecond=0),
            )
            self._write([*self.keys(), key])
        return f"{_PREFIX}_{key_id}_{secret}"

    def revoke(self, name: str) -> None:
        """Forget a key: from here on nobody gets in with it.

        Raises:
            InputError: there is no key of that name.
        """
        with self._locked():
            kept = [key for key in self.keys() if key.name != name]
            if len(kept) == len(self.keys()):
                raise InputError(f"there is no key named {name!r}; `quoth keys list` shows them")
            self._write(kept)

    def _locked(self) -> FileLock:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(self.file.with_name(f".{FILE_NAME}.lock"), timeout=10)

    def _write(self, keys: Sequence[Key]) -> None:
        records = [{**asdict(key), "scopes": sorted(key.scopes), "made": key.made.isoformat()} for key in keys]
        write_synced(self.file, json.dumps(records, indent=1).encode(), mode=0o600)

    def _parsed(self) -> list[Key]:
        try:
            return _KEYS.validate_json(self.file.read_bytes())
        except ValidationError as error:
            problem = error.errors()[0]["msg"]
            raise LibraryError(f"{self.file}: not a file of keys ({problem}); restore it or delete it") from error
