"""results.md: the tables, what they show, and every setting that made them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import yaml

from swe_srl.evaluation.statistics import Estimate
from swe_srl.studies.conclusions import conclusions
from swe_srl.studies.results import ArmResult, Results, lines_of
from swe_srl.studies.settings import COMPUTE, DATA
from swe_srl.tasks.difficulty import LEVELS
from swe_srl.training.compute import BACKWARD

TITLES = {DATA: "Matched data", COMPUTE: "Matched compute"}
COLUMNS = (
    "arm",
    "seeds",
    "resolved (95% interval)",
    "points above the base",
    "hardened",
    "similarity",
    "format errors",
    "tokens per turn",
    "turns",
    "turns to resolution",
    "updates",
    "groups skipped",
    "forward / backward tokens",
    "minutes",
)


def results_markdown(results: Results, figures: Sequence[str] = ()) -> str:
    """The page.

    Args:
        results: of the study.
        figures: names of the figures' files, relative to the page.
    """
    study, runs = results.runs.study, results.runs
    parts = [f"# {study.description or results.runs.settings.study}", _opening(results)]
    for table, rows in results.tables.items():
        parts += [f"## {TITLES[table]}", _explained(table, results)]
        if not rows:
            parts.append("No run is finished.")
            continue
        parts += [_table(COLUMNS, [row_cells(row) for row in rows])]
        parts += [f"- {row.arm.title}: {row.arm.note}" for row in rows if row.arm.note]
        parts += _over_axis(rows) if study.axis else []
        parts += _grouped("difficulty", rows, [row.by_difficulty for row in rows], _by_level)
        parts += _grouped("kind of task", rows, [row.by_kind for row in rows], _by_count)
        parts += ["What it shows:", "\n".join(f"- {one}" for one in conclusions(results, table))]
    for name in figures:
        parts.append(f"![{name}]({name})")
    if results.left:
        parts += ["## Left out", "\n".join(f"- {line}" for line in results.left_lines())]
    parts += ["## Settings", _settings(results), "## Machine", _machine(results)]
    if runs.share < 1:
        parts.insert(2, f"The budget was short: stages have {runs.share:g} of the recipes' updates.")
    return "\n\n".join(parts) + "\n"


def _opening(results: Results) -> str:
    runs = results.runs
    return (
        f"Base model `{runs.study.model}`, {results.tasks} held-out tasks of `{runs.study.split}`, {runs.samples} "
        f"episode{'s' if runs.samples > 1 else ''} of each with every seed ({', '.join(map(str, runs.seeds))}). Intervals are "
        "by bootstrap over seeds and tasks (Wilson's where all episodes ended alike); differences are paired by seed and task. "
        f"It took {results.spent / 60:.0f} minutes.\n\n"
        f"```text\n{results.command}\n```"
    )


def _explained(table: str, results: Results) -> str:
    main = results.runs.study.arm(results.runs.study.main).title
    if table == DATA:
        updates = results.runs.settings.updates
        length = "its recipe's updates" if updates is None else f"stages of {updates} updates"
        data = "the same trajectories and tasks"
        if results.runs.study.axis:
            data = "so many of the same trajectories, drawn by the seed (the fewer are among the more)"
        return (
            f"Every arm has {data}, and {length}. Tokens of an arm that goes on from another one "
            "include those of that one."
        )
    return (
        f"Every arm stops with the update that brings its compute to that of {main} with the same seed on matched data: "
        f"tokens that go forward (sampling and updates) and {BACKWARD} times those that go backward. Arms of several stages "
        "give each an equal part. A run that had this compute within 10% already stands in both tables. Validation, which "
        "chooses the model, is not counted."
    )


def row_cells(row: ArmResult) -> list[str]:
    """The row as text, one cell for each of `COLUMNS`."""
    trained = bool(row.arm.recipe)
    return [
        row.arm.title,
        str(len(row.seeds)),
        _percent(row.rate),
        _change(row),
        f"{row.hardened_rate.value:.1%}",
        "unknown" if row.similarity is None else f"{row.similarity:.3f}",
        f"{row.format_errors:.1%}",
        f"{row.tokens:.1f}",
        f"{row.turns:.1f}",
        "none resolved" if row.turns_resolved is None else f"{row.turns_resolved:.1f}",
        "; ".join(_updates(record.updates, record.chosen) for record in row.records) if trained else "",
        "" if row.skipped is None else f"{row.skipped:.0%}",
        f"{tokens_text(row.forward)} / {tokens_text(row.backward)}" if trained else "",
        f"{row.minutes:.1f}" if trained else "",
    ]


def _change(row: ArmResult) -> str:
    """Points above the base."""
    if row.change is None:
        return ""
    if row.as_base:
        return f"{100 * row.change.value:+.1f}, the same episodes"
    return f"{100 * row.change.value:+.1f} ({100 * row.change.low:+.1f} to {100 * row.change.high:+.1f})"


def _grouped(
    name: str,
    rows: Sequence[ArmResult],
    counts: Sequence[Mapping[str, tuple[int, int]]],
    order: Callable[[str, int], tuple[int, str]],
) -> list[str]:
    """What every arm resolved of each group of tasks; nothing when the tasks have no such groups."""
    first = counts[0]
    groups = sorted(first, key=lambda group: order(group, first[group][1]))
    lines = [[group, *(_share(*one.get(group, (0, 0))) for one in counts)] for group in groups]
    return [f"Resolved by {name}:", _table([name, *(row.arm.title for row in rows)], lines)] if lines else []


def _by_level(group: str, count: int) -> tuple[int, str]:
    """From easy to hard; what another data set says comes after."""
    return LEVELS.index(group) if group in LEVELS else len(LEVELS), group


def _by_count(group: str, count: int) -> tuple[int, str]:
    """The groups with most samples first."""
    return -count, group


def _over_axis(rows: Sequence[ArmResult]) -> list[str]:
    """The resolve rate by number of trajectories, a column for every line."""
    found = lines_of(rows)
    counts = sorted({count for points in found.values() for count, _ in points})
    cells = {name: {count: _percent(row.rate) for count, row in points} for name, points in found.items()}
    lines = [[str(count), *(cells[name].get(count, "") for name in found)] for count in counts]
    return ["Resolved by number of trajectories:", _table(["trajectories", *found], lines)] if lines else []


def _share(resolved: int, graded: int) -> str:
    return f"{resolved} of {graded}"


def _updates(updates: Sequence[int], chosen: Sequence[int]) -> str:
    """Updates of every stage; where another one was chosen than the last, which."""
    pairs = zip(updates, chosen, strict=True)
    return " + ".join(f"{last}" if last == best else f"{last} (best: {best})" for last, best in pairs)


def _settings(results: Results) -> str:
    """Every setting that is not the default, by arm; a run's own settings.yaml has all."""
    parts = [
        "What is not the default of `swe-srl train` in the first run of every arm. All settings are in `settings.yaml` of "
        "the runs, below `runs/`, and in `results.json`."
    ]
    for table, rows in results.tables.items():
        for row in rows:
            if row.arm.recipe and not (table == COMPUTE and row.records[0].same_as):
                own = {key: value for key, value in row.settings.items() if key != "output"}
                text = yaml.safe_dump(own, sort_keys=False, allow_unicode=True, width=110).rstrip()
                parts.append(
                    f"{row.arm.title}, {TITLES[table].lower()} (recipe `{row.arm.recipe}`):\n\n```yaml\n{text}\n```"
                )
    settings = results.runs.settings
    study = results.runs.study
    agent = "AGENT" if study.vary else results.runs.recipe(study.arm(study.base)).agent_name
    levels = f" --difficulty {','.join(settings.difficulty)}" if settings.difficulty else ""
    parts.append(
        f"Evaluations: `swe-srl eval --split {study.split} --agent {agent} --samples {results.runs.samples}"
        f"{f' --limit {settings.limit}' if settings.limit else ''}"
        f"{levels} --seed SEED --policy MODEL`."
    )
    return "\n\n".join(parts)


def _machine(results: Results) -> str:
    machine = results.machine
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    git = machine.get("git") or {}
    commit = (
        f", commit `{git['commit'][:12]}`{' with changes' if git.get('dirty') else ''}" if git.get("commit") else ""
    )
    return f"{machine['platform']}, {machine['cpus']} CPU cores, Python {machine['python']}, {versions}{commit}."


def _percent(estimate: Estimate) -> str:
    if math.isnan(estimate.value):
        return "no data"
    return f"{estimate.value:.1%} ({100 * estimate.low:.1f} to {100 * estimate.high:.1f})"


def tokens_text(tokens: float) -> str:
    """For people.

    >>> tokens_text(1_234_567), tokens_text(4816)
    ('1.23M', '4.8k')
    """
    return f"{tokens / 1e6:.2f}M" if tokens >= 1e5 else f"{tokens / 1e3:.1f}k"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
