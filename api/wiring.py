"""The composition root: settings become ready objects here, and nowhere else."""

from dataclasses import dataclass
from pathlib import Path

from api.settings import Settings
from index.derived import DerivedIndexes
from index.embedder import Embedder
from index.export import exported_embedder
from index.intake import OVERLAP_TOKENS, PASSAGE_TOKENS, Intake, space_of
from index.library import Library
from index.retriever import HybridRetriever
from qa.confidence import load_confidence
from qa.pipeline import Pipeline
from qa.reader import WEIGHTS, Reader

MODEL_FILES = tuple(WEIGHTS / name for name in ("reader.onnx", "tokenizer.json", "confidence.json"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """A Library with everything that searches it and adds to it."""

    library: Library
    embedder: Embedder
    derived: DerivedIndexes
    retriever: HybridRetriever

    def intake(self, *, passage_tokens: int = PASSAGE_TOKENS, overlap_tokens: int = OVERLAP_TOKENS) -> Intake:
        """What takes articles in, cut like this."""
        return Intake(self.library, self.embedder, passage_tokens=passage_tokens, overlap_tokens=overlap_tokens)


def open_library(settings: Settings) -> Library:
    """The existing Library, without any model: enough to list, show, remove and check.

    Raises:
        LibraryError: there is none, or it cannot be used.
    """
    return Library(settings.library)


def open_archive(settings: Settings, *, create: bool = False) -> Archive:
    """The Library with its embedder and indexes; a new one where there is none and `create` says so.

    Raises:
        LibraryError: there is no Library, or it cannot be used.
        ModelError: the embedder is not on this computer.
    """
    if not create:
        Library(settings.library)  # refuse early: exporting an embedder for nothing takes a while
    embedder = Embedder(exported_embedder(settings.embedder, settings.cache / "embedders"), threads=settings.threads)
    return archive_in(settings.library, embedder)


def archive_in(folder: Path, embedder: Embedder) -> Archive:
    """The Library in the folder, or a new one, with its indexes.

    Raises:
        LibraryError: the Library cannot be used, or holds vectors of another embedder.
    """
    library = Library(folder, create=space_of(embedder))
    derived = DerivedIndexes(library)
    retriever = HybridRetriever(library, derived, embedder)
    return Archive(library=library, embedder=embedder, derived=derived, retriever=retriever)


def open_pipeline(archive: Archive, settings: Settings) -> Pipeline:
    """Everything that answers questions.

    Raises:
        ModelError: the reader's files are missing or damaged.
    """
    reader = Reader(threads=settings.threads)
    return Pipeline(archive.library, archive.retriever, reader, load_confidence())
