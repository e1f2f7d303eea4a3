"""uvicorn with a stop that loses no question, in one process or in several behind one address.

Its own stop drops those who have connected and not yet been heard: of six stops of two workers under load, 10 to 50
questions were lost each (`python -m bench.load seeds/articles --parts stop --rate 8`).
"""

import asyncio
import ctypes
import os
import socket
import struct
from contextlib import suppress
from typing import Any

from uvicorn import Config, Server
from uvicorn.supervisors import multiprocess

_GRACE_S = 0.5
"""For who has just connected to send the request, and for busy clients to hear that this answer is the last."""
_CLOSE = (b"connection", b"close")
_SO_ATTACH_FILTER = 26
_DROP = struct.pack("HBBI", 0x06, 0, 0, 0)
"""A filter of one instruction, for Linux: take in nothing of any packet."""


def hear_no_more(listener: socket.socket) -> None:
    """Take in no new connection; those that the system has taken in can still be accepted.

    Without it some come in between the last look and the close, and are reset: it lasts milliseconds where models
    compute. Elsewhere than on Linux that is how it is.
    """
    code = ctypes.create_string_buffer(_DROP)
    with suppress(OSError):
        listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HL", 1, ctypes.addressof(code)))


class GracefulServer(Server):
    """Refuses new connections first, then hears those that it has, and only then begins uvicorn's own stop."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop: whatever was accepted is answered."""
        self.server_state.default_headers.append(_CLOSE)
        for server in self.servers:
            listeners = [socket.socket(fileno=os.dup(listener.fileno())) for listener in server.sockets]
            for listener in listeners if sockets is None else ():  # what workers share is not this one's to close
                hear_no_more(listener)
            server.close()
            for listener in listeners:
                await self._take_what_waits(listener)
        for shared in sockets or []:
            shared.close()
        await asyncio.sleep(_GRACE_S)
        await super().shutdown(sockets)

    async def _take_what_waits(self, listener: socket.socket) -> None:
        """Take in the connections that the system has accepted, and close the listening socket at once after."""
        loop = asyncio.get_running_loop()
        waiting: list[socket.socket] = []
        listener.settimeout(0)
        with listener:
            while True:
                try:
                    waiting.append(listener.accept()[0])
                except BlockingIOError:
                    break
        for connection in waiting:
            connection.settimeout(0)
            await loop.connect_accepted_socket(self._protocol, connection)

    def _protocol(self) -> asyncio.Protocol:
        make: Any = self.config.http_protocol_class
        made: asyncio.Protocol = make(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)
        return made


class Worker(multiprocess.Process):
    """A process of uvicorn's supervisor, with a server that stops well."""

    @property
    def server(self) -> Server:
        """The server of this process."""
        if self._server is None:
            self._server = GracefulServer(self.config)
        return self._server


class Workers(multiprocess.Multiprocess):
    """uvicorn's supervisor; it lets go of the listening socket when its workers are told to stop."""

    def __init__(self, config: Config) -> None:
        """Listens from here on."""
        multiprocess.Process = Worker  # type: ignore[misc]  # the name by which it makes its processes
        super().__init__(config, sockets=[config.bind_socket()])

    def terminate_all(self) -> None:
        """Tell every worker to stop."""
        for shared in self.sockets:
            hear_no_more(shared)
            shared.close()
        super().terminate_all()
