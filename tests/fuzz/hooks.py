"""What Schemathesis must know of JSON lines: the body is sent as it is."""

from typing import Any

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def as_it_is(_: schemathesis.SerializationContext, value: Any) -> bytes:
    """Text as UTF-8; of anything else, what is written in its place."""
    return value if isinstance(value, bytes) else str(value).encode(errors="surrogatepass")
