"""The settings of the training runs."""

from dataclasses import dataclass

from training.data import Rates


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything that decides the outcome of a run but its files.

    `taught_weight`, in [0, 1], is the teacher's share of the loss: 0 is learning without one. `temperature`, above 0,
    divides the logits of both: the higher, the more the teacher's second choices count. Batches with a question
    and paragraph of more tokens than `longest` together are left out, if it is given. The `n_steps` go over the same
    batches `passes` times, down to the token: so a teacher has to be asked but once.
    """

    n_steps: int = 4400
    passes: int = 1
    n_questions: int = 25
    n_negatives: int = 7
    longest: int | None = None
    learning_rate: float = 1.2e-4
    warmup_share: float = 0.05
    weight_decay: float = 0.01
    dropout: float = 0.1
    shared_weight: float = 0.5
    taught_weight: float = 0.0
    temperature: float = 1.0
    kept_of_average: float = 0.998
    title_rate: float = 0.6
    plain_rate: float = 0.3
    terse_rate: float = 0.07
    mistyped_rate: float = 0.1
    cropped_rate: float = 0.15
    seed: int = 9

    @property
    def n_batches(self) -> int:
        """How many batches differ; at least one."""
        return max(1, -(-self.n_steps // self.passes))

    @property
    def rates(self) -> Rates:
        """As the instance maker takes them."""
        return Rates(
            title=self.title_rate,
            plain=self.plain_rate,
            terse=self.terse_rate,
            mistyped=self.mistyped_rate,
            cropped=self.cropped_rate,
        )


RECIPES = {
    # Two passes over SQuAD from the backbone, as clean as it is.
    "first": Recipe(
        n_steps=7300,
        n_questions=23,
        n_negatives=9,
        learning_rate=1.5e-4,
        dropout=0.0,
        shared_weight=0.0,
        title_rate=0.5,
        terse_rate=0.0,
        mistyped_rate=0.0,
        cropped_rate=0.0,
        seed=7,
    ),
    # On from there: more kinds of text and of questions, passages that compete, and dropout against learning by heart.
    "second": Recipe(),
    # The second with a teacher's soft targets beside the annotators'. The teacher takes longer over a batch than the
    # reader takes to learn from it, so each of its answers is used twice.
    "taught": Recipe(n_steps=4800, passes=2, taught_weight=0.7, temperature=2.0),
    # On from there, over more batches. Dropout was left out for speed (a tenth); with it was not tried.
    "again": Recipe(n_steps=6400, passes=2, taught_weight=0.7, temperature=2.0, learning_rate=1e-4, dropout=0.0),
    # On from there, with news among the rest.
    "news": Recipe(n_steps=1200, learning_rate=8e-5, title_rate=0.8),
    # On from there, twice, with our own questions about SQuAD's paragraphs as well.
    "own": Recipe(n_steps=2400, learning_rate=1e-4, title_rate=0.7),
}
TEACHER_RECIPE = Recipe(
    # Less than one pass over both corpora, so no dropout: nothing is seen twice. The rate is above the usual one of
    # networks of this size (1.5e-5 to 3e-5, as in RoBERTa's paper), for the run is short; it was not tuned. Less is
    # mistyped and cropped than for the student, whose windows it must still know how to read. A sixth of the batches
    # are longer than `longest` and would take two fifths of the time; on windows that long it is still better than the
    # student, by 4.4 points of F1 (4.8 on shorter ones; runs/teacher.json).
    n_steps=2400,
    n_questions=28,
    n_negatives=4,
    longest=224,
    learning_rate=4e-5,
    warmup_share=0.08,
    dropout=0.0,
    kept_of_average=0.99,
    plain_rate=0.2,
    terse_rate=0.05,
    mistyped_rate=0.05,
    cropped_rate=0.1,
    seed=11,
)
