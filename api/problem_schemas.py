"""The JSON documents of what went wrong: apart from `api.problems`, for the command line needs no FastAPI."""

from pydantic import BaseModel, Field


class FieldDocument(BaseModel):
    """A field that is wrong."""

    field: str = Field(description="Where it stands, with dots between; empty for the body as a whole.")
    message: str = Field(description="What is wrong, and what to do.")


class ProblemDocument(BaseModel):
    """A problem, as RFC 9457 has it; `code` is for programs and `detail` for people."""

    type: str = Field(description="The code as a URN.")
    title: str
    status: int
    detail: str
    code: str
    errors: list[FieldDocument]
    request_id: str = Field(description="Names the request in the server's log.")
