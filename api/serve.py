"""The server: who may reach it, how many processes it has, and how it stops."""

import importlib.metadata
import ipaddress
import os
import shutil
import signal
import tempfile
from pathlib import Path

from fastapi import FastAPI

from api.keys import KeyStore
from api.settings import Settings
from api.wiring import open_archive, open_pipeline
from index.embedder import available_cores
from index.errors import InputError

_MOST_CONNECTIONS = 500
"""Of one process. Each that sends a request may fill 2 MB; past it, uvicorn answers 503."""
_LAST_ANSWERS_S = 5


def serve(settings: Settings, *, host: str, port: int, workers: int) -> None:
    """Serve until told to stop (SIGTERM or Ctrl-C): what runs is finished, and nothing more is accepted.

    Raises:
        InputError: it would be reached from elsewhere, and there is no key to ask for.
        QuothError: what opening the archive raises.
    """
    import uvicorn

    from api.protocol import PatientProtocol

    settings = _with_keys(settings, host)
    if settings.threads == 0:
        settings = settings.with_values(threads=max(1, available_cores() // workers))
    open_pipeline(
        open_archive(settings, create=True), settings
    )  # what is wrong is said here, once and not by each worker
    signal.signal(signal.SIGTERM, _exit)  # uvicorn stops well, then lets the signal do what it did before
    with _Counting(workers):
        os.environ.update(settings.environment())  # uvicorn starts workers as processes of their own
        uvicorn.run(
            "api.serve:make_app",
            factory=True,
            host=host,
            port=port,
            workers=workers,
            http=PatientProtocol,
            ws="none",
            limit_concurrency=_MOST_CONNECTIONS,
            timeout_graceful_shutdown=int(settings.deadline_s) + _LAST_ANSWERS_S,
            log_config=None,
            access_log=False,
            server_header=False,
        )


def make_app() -> FastAPI:
    """The application of one worker, from the settings in the environment. uvicorn calls it."""
    from api.http import build_app
    from api.logs import configure_logs
    from api.service import open_service

    configure_logs()
    settings = Settings()
    archive = open_archive(settings)
    version = importlib.metadata.version("quoth")
    return build_app(open_service(archive, open_pipeline(archive, settings), settings, version))


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach that address."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _with_keys(settings: Settings, host: str) -> Settings:
    if not is_loopback(host):
        settings = settings.with_values(require_keys=True)
    if settings.require_keys and not KeyStore(settings.library).keys():
        raise InputError(
            f"host {host}: this server can be reached by others and asks for keys, and there is none yet;"
            " make one: quoth keys add NAME --scope ask"
        )
    return settings


def _exit(*_: object) -> None:
    raise SystemExit(0)


class _Counting:
    """A folder in which several workers count together, while they run."""

    def __init__(self, workers: int) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="quoth-metrics-")) if workers > 1 else None

    def __enter__(self) -> None:
        if self._folder:
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(self._folder)

    def __exit__(self, *_: object) -> None:
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)
