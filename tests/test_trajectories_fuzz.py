"""Whatever a file holds, reading it gives trajectories and reasons, never a traceback, and no turn is lost."""

import copy
import gzip
import json

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from swe_srl.errors import TrajectoryError
from swe_srl.trajectories import READERS, ReadReport, format_names, inspect_trajectories, read_trajectories, records
from swe_srl.trajectories.export import to_atif, to_messages, to_mini_swe_agent
from swe_srl.trajectories.rows import trajectory_to_row
from swe_srl.types import Action, Trajectory, Turn

TRAJECTORY = Trajectory(
    "t",
    "owner__name-1",
    (Turn(Action("ls", "Look."), "a.py\n", 0), Turn(Action("submit"), "")),
    "It breaks.",
    "System.",
)
EVENTS = [
    {"id": 0, "source": "user", "action": "message", "args": {"content": "Fix it."}},
    {"id": 1, "source": "agent", "action": "run", "args": {"command": "ls", "thought": "Look."}},
    {"id": 2, "source": "agent", "observation": "run", "cause": 1, "content": "a.py", "extras": {"exit_code": 0}},
    {"id": 3, "source": "agent", "action": "finish", "args": {}},
]
SDK_EVENTS = [
    {"kind": "MessageEvent", "source": "user", "llm_message": {"content": [{"type": "text", "text": "Fix it."}]}},
    {
        "kind": "ActionEvent",
        "source": "agent",
        "tool_name": "terminal",
        "tool_call_id": "a",
        "action": {"command": "ls"},
    },
    {"kind": "ObservationEvent", "source": "environment", "tool_call_id": "a", "observation": {"content": "a.py"}},
]
SEEDS = {
    "own": trajectory_to_row(TRAJECTORY),
    "messages": to_messages(TRAJECTORY),
    "mini": to_mini_swe_agent(TRAJECTORY),
    "atif": to_atif(TRAJECTORY),
    "openhands": {"instance_id": "owner__name-1", "history": EVENTS, "instance": {"repo": "owner/name"}},
    "sdk": {"history": SDK_EVENTS},
    "swe-agent": {
        "environment": "main",
        "trajectory": [
            {
                "action": "open a.py",
                "observation": "[File: /a.py (1 lines total)]\n1:x",
                "thought": "Look.",
                "state": "{}",
            }
        ],
        "history": [{"role": "system", "content": "special interface", "agent": "primary"}],
        "info": {"exit_status": "submitted", "submission": "diff"},
    },
    "adp": {
        "id": "owner__name-1",
        "content": [
            {"class_": "text_observation", "content": "Fix it.", "source": "user"},
            {"class_": "code_action", "language": "bash", "content": "ls", "description": "Look."},
            {"class_": "text_observation", "content": "a.py", "source": "environment"},
            {"class_": "api_action", "function": "submit", "kwargs": {}},
        ],
    },
    "r2e": {
        "trajectory_steps": [{"thought": "", "action": "<function=finish></function>", "observation": "", "info": {}}]
    },
    "nebius": {"trajectory": [{"role": "user", "text": "x"}, {"role": "ai", "text": "```\nls\n```"}], "target": True},
}
WRONG = st.sampled_from(
    [None, 0, -1.5, True, "", "x", [], [None], {}, {"a": 1}, [[]], "\ud800", "9" * 5000, float("nan")]
)


def _paths(value, prefix=()):
    yield prefix
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in entries:
        yield from _paths(inner, (*prefix, key))


@st.composite
def damaged(draw):
    """A valid record of some format with one to three values replaced or removed."""
    record = copy.deepcopy(draw(st.sampled_from(list(SEEDS.values()))))
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from([path for path in _paths(record) if path]))
        holder = record
        for key in path[:-1]:
            holder = holder[key]
        if draw(st.booleans()):
            holder[path[-1]] = copy.deepcopy(draw(WRONG))
        else:
            del holder[path[-1]]
        if not record:
            break
    return record


def _account(path):
    report = inspect_trajectories(path).report
    assert report.turns_read == report.steps + report.reported
    json.dumps(report.as_dict())
    return report


FUZZ = settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@FUZZ
@given(damaged())
def test_damaged_records_give_reasons(tmp_path, record):
    path = tmp_path / "x.jsonl"
    path.write_text(json.dumps(record) + "\n" + json.dumps(SEEDS["own"]))
    report = _account(path)
    assert report.trajectories + sum(entry.count for entry in report.records.values()) == 2
    assert report.trajectories >= 1


@FUZZ
@given(
    st.sampled_from(sorted(SEEDS)), st.floats(0, 1), st.binary(max_size=3), st.sampled_from(["jsonl", "json", "traj"])
)
def test_truncated_and_corrupted_files_give_reasons(tmp_path, name, where, noise, suffix):
    text = json.dumps(SEEDS[name], indent=2 if suffix == "json" else None).encode()
    cut = int(where * len(text))
    path = tmp_path / f"x.{suffix}"
    path.write_bytes(text[:cut] + noise + (text[cut:] if len(noise) > 1 else b""))
    _account(path)


@pytest.mark.parametrize("name", sorted(SEEDS))
def test_every_seed_is_a_trajectory_with_steps(tmp_path, name):
    path = tmp_path / "x.json"
    path.write_text(json.dumps(SEEDS[name]))
    report = _account(path)
    assert (report.trajectories, report.records) == (1, {})
    assert report.steps == report.turns_read > 0


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty file"),
        (b"   \n", "empty file"),
        (b"{", "not JSON"),
        (b'{"messages": "\xff\xfe"}', "invalid UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b'[{"b"', "malformed or truncated JSON array"),
        (b"[]", "empty file"),
        (b"3", "no known trajectory format"),
        (
            b'{"messages": [{"role": "wizard", "content": "x"}, {"role": "user", "content": "x"}]}',
            "unknown role: wizard",
        ),
        (b'{"messages": [{"role": "user", "content": "x"}, 3]}', "a message is int, not an object"),
        (b'{"messages": [{"role": "user", "content": "x"}]}', "no turn"),
        (b'{"instance_id": "x", "model_patch": "diff"}', "a prediction, not a trajectory"),
    ],
)
def test_unusable_files_have_their_reason(tmp_path, content, reason):
    path = tmp_path / "x.json"
    path.write_bytes(content)
    report = _account(path)
    assert list(report.records) == [reason]
    assert report.records[reason].example.file == str(path)


def test_a_line_that_is_too_long_is_skipped_and_named(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "LINE_LIMIT", 5000)
    path = tmp_path / "x.jsonl"
    path.write_text(json.dumps(SEEDS["own"]) + "\n" + "x" * 3_000_000 + "\n" + json.dumps(SEEDS["own"]) + "\n")
    report = _account(path)
    assert report.trajectories == 2
    assert report.records["line too long"].example.record == 2


@pytest.mark.slow
def test_a_100_megabyte_line_is_skipped_and_named(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text('{"messages": "' + "x" * 100_000_000 + '"}\n' + json.dumps(SEEDS["own"]) + "\n")
    report = _account(path)
    assert report.trajectories == 1
    assert list(report.records) == ["line too long"]


def test_arrays_lines_and_archives_are_streamed_alike(tmp_path):
    rows = [{**SEEDS["own"], "trajectory_id": f"t{number}"} for number in range(300)]
    (tmp_path / "a.json").write_text(json.dumps(rows, indent=1))
    (tmp_path / "b.jsonl").write_text("\n".join(map(json.dumps, rows)))
    with gzip.open(tmp_path / "c.jsonl.gz", "wt") as file:
        file.write("\n\n".join(map(json.dumps, rows)))
    (tmp_path / "d.md").write_text("not one")
    expected = [row["trajectory_id"] for row in rows]
    for name in ("a.json", "b.jsonl", "c.jsonl.gz"):
        assert [trajectory.trajectory_id for trajectory in read_trajectories(tmp_path / name)] == expected
    report = ReadReport()
    assert len(list(read_trajectories(tmp_path, report))) == 900
    assert list(report.records) == ["not a trajectory file"]


def test_parquet_is_read(tmp_path):
    chat = [{"role": "user", "content": "Fix it."}, {"role": "assistant", "content": "```bash\nls\n```"}]
    table = pyarrow.Table.from_pylist([{"instance_id": "a__b-1", "messages": chat, "resolved": True}] * 3)
    pyarrow.parquet.write_table(table, tmp_path / "x.parquet")
    (tmp_path / "y.parquet").write_bytes(b"PAR1 no")
    report = _account(tmp_path)
    assert (report.trajectories, report.steps, list(report.records)) == (3, 3, ["unreadable parquet"])


def test_a_damaged_archive_is_named(tmp_path):
    packed = gzip.compress(json.dumps(SEEDS["own"]).encode() * 50)
    (tmp_path / "x.jsonl.gz").write_bytes(packed[: len(packed) // 2])
    assert "unreadable file" in _account(tmp_path).records


def test_without_a_report_the_first_unusable_record_raises(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text(json.dumps(SEEDS["own"]) + "\nnonsense\n")
    trajectories = read_trajectories(path)
    assert next(trajectories).trajectory_id == "t"
    with pytest.raises(TrajectoryError, match=r"x\.jsonl, record 2: not JSON"):
        next(trajectories)


def test_wrong_names_are_answered(tmp_path):
    with pytest.raises(TrajectoryError, match="no such file or folder"):
        read_trajectories(tmp_path / "none.jsonl")
    with pytest.raises(TrajectoryError, match="did you mean 'mini-swe-agent'"):
        read_trajectories(tmp_path, format="mini-swe-agnt")


def test_readers_follow_the_protocol(tmp_path):
    from swe_srl.protocols import TrajectoryReader

    path = tmp_path / "x.json"
    path.write_text(json.dumps(SEEDS["atif"]))
    assert all(isinstance(reader, TrajectoryReader) for reader in READERS)
    accepting = [reader for reader in READERS if reader.accepts(path)]
    assert [reader.name for reader in accepting] == ["atif"]
    assert [trajectory.trajectory_id for trajectory in accepting[0].read(path)] == ["t"]
    assert len(set(format_names())) == len(READERS)


def test_lone_surrogates_never_reach_a_step(tmp_path):
    said = [{"role": "user", "content": "x\ud800"}]
    calls = [{"function": {"name": "bash", "arguments": json.dumps({"command": "echo \udc00"})}}]
    said += [{"role": "assistant", "content": "\ud800", "tool_calls": calls}, {"role": "tool", "content": "\udfff"}]
    path = tmp_path / "x.json"
    path.write_text(json.dumps({"messages": said}))
    (trajectory,) = read_trajectories(path)
    repr_of_all = json.dumps(trajectory_to_row(trajectory), ensure_ascii=False)
    assert repr_of_all.encode("utf-8")
    assert trajectory.turns[0].action == Action("echo ?", "?")
