"""Everything that can go wrong in Quoth, named by what the caller can do about it.

QuothError
├── InputError           what was given is wrong: mend it and call again
│   ├── ArticleError     an article file or record cannot be taken in
│   ├── DatasetError     an evaluation dataset or run folder cannot be read
│   ├── QuestionError    a question, or how sure its answer must be, cannot be taken
│   └── NotFoundError    no article has that id
├── LibraryError         the Library itself cannot be used: the message says what to do
│   ├── LibraryBusyError another process is writing; try again
│   ├── DamagedIndexError a derived index is missing or damaged: it is made anew from the Library
│   └── CitationError    the stored article no longer holds the quoted text; the answer is refused
└── ModelError           model files are missing or are not the ones expected
"""


class QuothError(Exception):
    """Root of every error that Quoth raises on purpose; its text is meant for the user."""


class InputError(QuothError):
    """What was given is wrong: mend it and call again."""


class ArticleError(InputError):
    """An article file or record cannot be taken in; the message names the file and the field."""


class DatasetError(InputError):
    """An evaluation dataset or a run folder cannot be read; the message names the file and the place."""


class QuestionError(InputError):
    """A question is empty or longer than is read, or no threshold is known for the precision that is asked for."""


class NotFoundError(InputError):
    """No article of the Library has the given id."""


class LibraryError(QuothError):
    """The Library cannot be used as it is; the message says what to do."""


class LibraryBusyError(LibraryError):
    """Another process is writing to the Library; nothing was changed, try again."""


class DamagedIndexError(LibraryError):
    """A derived index is missing, damaged or of another kind: it must be rebuilt from the Library."""


class CitationError(LibraryError):
    """The stored article does not hold the quoted text where it should; the answer is refused."""


class ModelError(QuothError):
    """Model files are missing, or are not the ones expected."""
