"""What was done and found, as lines for people."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from tests.torture.kills import Kill
from tests.torture.matrix import Case
from tests.torture.trials import Trial

_PHASES = ("before the first", "between", "after the last")


def line_of_kill(kill: Kill, seed: int) -> str:
    """One kill; if something was found, all of it, and how to do it again."""
    line = f"kill {kill.number}: {kill.kind} after {kill.lived_s:.2f} s, {kill.acknowledged} of {kill.expected} done"
    if not kill.lost and not kill.inconsistent:
        return line
    again = f"again: python -m tests.torture --part kills --seed {seed} --first-library {kill.library}"
    return "\n  ".join([line, *kill.lost, *kill.inconsistent, again])


def line_of_case(case: Case) -> str:
    """One damage and its outcome."""
    where = f" ({case.where})" if case.where else ""
    words = "" if case.outcome.is_right else f"\n  {case.words}"
    return f"{case.base} {case.file}: {case.way}{where}: {case.outcome}{words}"


def line_of_trial(trial: Trial) -> str:
    """One trial, with what is worth knowing about it."""
    if trial.skipped:
        return f"{trial.name}: skipped: {trial.skipped}"
    return "\n  ".join([trial.name, *trial.facts, *(f"FAULT: {fault}" for fault in trial.faults)])


def text(kills: Sequence[Kill], damage: Sequence[Case], trials: Sequence[Trial], seconds: Mapping[str, float]) -> str:
    """The whole summary, as Markdown tables."""
    parts = []
    if kills:
        parts.append(_of_kills(kills))
    if damage:
        parts.append(_of_damage(damage))
    if trials:
        parts.append(_of_trials(trials))
    parts.append(", ".join(f"{name}: {took:.0f} s" for name, took in seconds.items()))
    return "\n\n".join(parts)


def _of_kills(kills: Sequence[Kill]) -> str:
    counts = Counter((kill.kind, kill.phase) for kill in kills)
    rows = [
        [kind, *(counts[kind, phase] for phase in _PHASES), sum(counts[kind, phase] for phase in _PHASES)]
        for kind in dict.fromkeys(kill.kind for kill in kills)
    ]
    rows.append(["all", *(sum(row[n] for row in rows) for n in range(1, 5))])  # type: ignore[misc]
    facts = [
        f"acknowledged: {sum(kill.acknowledged for kill in kills)}",
        f"articles compared: {sum(kill.compared for kill in kills)}",
        f"articles searched for: {sum(kill.searched for kill in kills)}",
        f"opened with a warning: {sum(bool(kill.said) for kill in kills)}",
        f"lost: {sum(len(kill.lost) for kill in kills)}",
        f"inconsistencies: {sum(len(kill.inconsistent) for kill in kills)}",
    ]
    return (
        table(["killed", *(f"{phase} acknowledgement" for phase in _PHASES), "all"], rows) + "\n\n" + ", ".join(facts)
    )


def _of_damage(damage: Sequence[Case]) -> str:
    outcomes = list(dict.fromkeys(sorted((case.outcome for case in damage), key=lambda o: (not o.is_right, o))))
    counts = Counter((kind_of(case.file), case.way, case.outcome) for case in damage)
    rows = [
        [file, way, *(counts[file, way, outcome] or "" for outcome in outcomes)]
        for file, way in dict.fromkeys(sorted((kind_of(case.file), case.way) for case in damage))
    ]
    return table(["file", "damage", *outcomes], rows)


def kind_of(file: str) -> str:
    """A file's name without what differs from one Library to the next."""
    folder, _, name = file.rpartition("/")
    stem, _, suffix = name.partition(".")
    if folder == "lexical" and len(stem) == 32:
        name = f"*.{suffix.rpartition('.')[2]}"
    if folder == "dense" and suffix.endswith("faiss"):
        name = "*.faiss"
    return f"{folder}/{name}" if folder else name


def _of_trials(trials: Sequence[Trial]) -> str:
    rows = [
        [
            trial.name,
            f"skipped: {trial.skipped}"
            if trial.skipped
            else "; ".join(fault.splitlines()[0] for fault in trial.faults) or "right",
        ]
        for trial in trials
    ]
    return table(["trial", "outcome"], rows)


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)
