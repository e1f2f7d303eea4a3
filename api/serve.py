"""The server: who may reach it, how many processes it has, and how it stops."""

import importlib.metadata
import ipaddress
import os
import signal
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context

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
    from uvicorn import Config

    from api.protocol import PatientProtocol
    from api.workers import GracefulServer, Workers

    settings = _with_keys(settings, host)
    if settings.threads == 0:
        settings = settings.with_values(threads=max(1, available_cores() // workers))
    signal.signal(signal.SIGTERM, _exit)  # uvicorn stops well, then lets the signal do what it did before
    with _counting(workers):
        os.environ.update(settings.environment())  # workers are processes of their own
        config = Config(
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
        if workers == 1:
            GracefulServer(config).run()
            return
        # What is wrong is said once, by a process that keeps no models in memory.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as apart:
            apart.submit(_try_out).result()
        Workers(config).run()


def make_app() -> FastAPI:
    """The application of one worker, from the settings in the environment. uvicorn calls it."""
    from api.http import build_app
    from api.logs import configure_logs
    from api.service import open_service

    configure_logs()
    settings = Settings()
    archive = open_archive(settings, create=True)
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


@contextmanager
def _counting(workers: int) -> Iterator[None]:
    """A folder in which several workers count together, while they run."""
    if workers == 1:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="quoth-metrics-") as folder:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        yield


def _try_out() -> None:
    settings = Settings()
    open_pipeline(open_archive(settings, create=True), settings)
