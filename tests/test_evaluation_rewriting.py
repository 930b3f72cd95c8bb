"""A teacher restates solutions as numbered steps: what is asked, what is kept, and how a run goes on."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from swe_srl.agents import AgentDefinition
from swe_srl.cli import main
from swe_srl.errors import ConfigError, GenerationError
from swe_srl.evaluation.rewrite_check import (
    ALONE,
    CHANGED,
    CUT,
    FEW,
    INCOMPLETE,
    NO_ANSWER,
    TOO_LONG,
    UNKNOWN,
    check_completion,
    own_answer,
    request_for,
)
from swe_srl.evaluation.rewrite_settings import RewriteSettings
from swe_srl.evaluation.rewriting import rewrite, sort_records
from swe_srl.files import read_jsonl, write_jsonl
from swe_srl.generation import asking
from swe_srl.tasks.problems import last_boxed
from swe_srl.trajectories import ReadReport, make_steps, read_trajectories
from swe_srl.trajectories.readers.numbered import split_steps
from swe_srl.trajectories.solutions import Solution, read_solutions
from swe_srl.types import Completion, Message, Refusal, Sampling, StopReason

pytest.importorskip("math_verify")

FREE = r"A cow has two legs in front and two behind, so by adding them there are $\boxed{4}$ of them."
GOOD = "1. **Count the legs.** Two in front, two behind.\n\n2. **Add.** 2 + 2 = 4, so $\\boxed{4}$."
TITLED = {"id": "titled", "problem": "How many?", "solution": GOOD, "level": 3}
ENDPOINT = ("--endpoint-model", "teacher")


def free(name: object, **columns: Any) -> dict[str, Any]:
    return {"id": name, "problem": f"How many legs has cow {name}?", "solution": FREE, **columns}


def solution_of(**columns: Any) -> Solution:
    row = free("a", **columns)
    return Solution("x.jsonl", 1, "a", row["problem"], row["solution"], row)


def sentences(text: str) -> str:
    """A scripted teacher: the sentences of a solution, each a step with a title, and the final answer in the last."""
    problem, _, told = text.partition("\n\nThe final answer is ")
    solution = problem.partition("\n\nSolution: ")[2]
    parts = [part.strip() for part in re.split(r"(?<=[.!?])\s+|\n{2,}", solution) if part.strip()] or [solution]
    answer = last_boxed(told or solution)
    steps = [*parts, f"The final answer is $\\boxed{{{answer}}}$."]
    return "\n\n".join(f"{i}. **Part {i}.** {' '.join(step.split())}" for i, step in enumerate(steps, 1))


class Scripted:
    """A teacher in this process: `answer` gives the text (or completion) of a chat and a sampling."""

    def __init__(self, answer: Callable[[str, Sampling], str | Completion]) -> None:
        self.answer = answer
        self.asked: list[tuple[str, float, int]] = []

    def generate(
        self, contexts: Sequence[tuple[Message, ...]], n: int, sampling: Sampling, seeds: Sequence[int]
    ) -> list[list[Completion]]:
        groups = []
        for context, seed in zip(contexts, seeds, strict=True):
            assert [message.role for message in context] == ["system", "user"] and n == 1
            self.asked.append((context[-1].content, sampling.temperature, seed))
            said = self.answer(context[-1].content, sampling)
            groups.append([said if isinstance(said, Completion) else Completion(said, (), (), True, 10, 5)])
        return groups


class Dying(Scripted):
    """A scripted teacher that is interrupted after so many answers."""

    def __init__(self, answer: Callable[[str, Sampling], str | Completion], after: int) -> None:
        super().__init__(answer)
        self.after = after

    def generate(
        self, contexts: Sequence[tuple[Message, ...]], n: int, sampling: Sampling, seeds: Sequence[int]
    ) -> list[list[Completion]]:
        """The answers, as long as there are some left."""
        if len(self.asked) == self.after:
            raise KeyboardInterrupt
        return super().generate(contexts, n, sampling, seeds)


def settings_for(folder: Path, rows: Sequence[dict[str, Any]], **settings: Any) -> RewriteSettings:
    write_jsonl(folder / "source.jsonl", rows)
    given = {"source": str(folder / "source.jsonl"), "policy": "quickstart", "output": folder / "run", **settings}
    return RewriteSettings(**given)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (GOOD, ""),
        (f"<think>1. **No.** \\boxed{{9}}</think>\nHere it is:\n\n{GOOD}", ""),
        (f"```markdown\n{GOOD}\n```", ""),
        (GOOD.replace("\\boxed{4}", "\\boxed{8/2}"), ""),
        (GOOD.replace("\\boxed{4}", "\\boxed{5}"), CHANGED),
        (GOOD.replace("\\boxed{4}", "4"), NO_ANSWER),
        (f"{GOOD}\n\n3. **Look again.** It is right.", NO_ANSWER),
        (FREE, FEW),
        ("", FEW),
        ("1. **All.** So \\boxed{4}.", FEW),
        ("1. **Count.**\n2. **Add.** So \\boxed{4}.", INCOMPLETE),
        ("1. Count.\n2. Add: \\boxed{4}.", FEW),
    ],
)
def test_an_answer_needs_the_form_and_the_same_final_answer(text: str, reason: str) -> None:
    checked = check_completion(solution_of(), Completion(text, (), (), True), 2)
    assert checked.reason == reason and bool(checked.steps) == (not reason) and not checked.final
    if checked.steps:
        assert checked.steps[0] == "**Count the legs.** Two in front, two behind." and len(checked.steps) == 2


def test_a_cut_answer_and_a_solution_that_is_too_long_have_their_own_reasons() -> None:
    assert check_completion(solution_of(), Completion(GOOD, (), (), False), 2).reason == CUT
    refused = Completion("", (), (), False, refusal=Refusal("too long", StopReason.TOKEN_LIMIT))
    assert check_completion(solution_of(), refused, 2).reason == TOO_LONG
    assert check_completion(solution_of(), refused, 2).final


def test_the_records_own_answer_comes_first() -> None:
    assert own_answer(free("a", answer=4.0)) == "4" == own_answer(free("a")) == own_answer(free("a", answer=""))
    assert own_answer({"solution": "Thus so.\n\nFinal answer: $\\frac{1}{2}$."}) == "\\frac{1}{2}"
    assert own_answer({"solution": "Answer: C\n\nThis is shown below."}) == ""
    other = solution_of(answer="5")
    assert check_completion(other, Completion(GOOD, (), (), True), 2).detail == "the answer is 5, not 4"


def test_the_final_answer_is_told_only_where_the_solution_does_not_box_it() -> None:
    assert "The final answer is" not in request_for(solution_of())[1].content
    plain = solution_of(solution="Two and two are four in the end, as everybody knows well.", answer=4)
    assert request_for(plain)[1].content.endswith("The final answer is \\boxed{4}.")


def test_what_is_taken_rewritten_dropped_and_not_read(tmp_path: Path) -> None:
    rows = [
        TITLED,
        free("good", level=2),
        free("changed"),
        free("bare", solution="4"),
        free("proof", solution="It is shown by induction that this holds for every cow there is."),
        free(None),
        {"problem": " ", "solution": FREE},
        {"question": "Why?", "messages": []},
    ]
    settings = settings_for(tmp_path, rows, tries=1)
    teacher = Scripted(lambda text, _: GOOD.replace("{4}", "{7}") if "cow changed" in text else GOOD)
    found = rewrite(settings, generator=teacher)
    assert (found.taken, found.rewritten) == (1, 2)
    assert found.reasons == {CHANGED: 1, ALONE: 1, UNKNOWN: 1}
    assert {reason: entry.count for reason, entry in found.unread.records.items()} == {
        "the problem is empty": 1, "no problem with a solution": 1
    }  # fmt: skip
    report = json.loads((settings.output / "report.json").read_text())
    assert report == found.as_dict() and report["records"] == len(rows)
    assert (report["answers"], report["prompt_tokens"], report["completion_tokens"]) == (4, 40, 20)
    dropped = list(read_jsonl(settings.output / "dropped.jsonl"))
    assert [(row["id"], row["record"]) for row in dropped] == [("changed", 3), ("bare", 4), ("proof", 5)]
    assert dropped[0]["detail"] == "the answer is 4, not 7"
    kept = list(read_jsonl(settings.output / "trajectories.jsonl"))
    assert kept[0] == TITLED and kept[1]["level"] == 2 and kept[1]["solution_before"] == FREE
    assert [row["id"] for row in kept] == ["titled", "good", "source:6"]
    assert [(temperature, "changed" in text) for text, temperature, _ in teacher.asked] == [
        (0.0, False), (0.0, True), (0.0, False), (0.7, True)
    ]  # fmt: skip
    assert len({seed for _, _, seed in teacher.asked}) == 4


def test_the_result_is_trained_on_as_steps_with_titles(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, [free("a")])
    rewrite(settings, generator=Scripted(lambda *_: GOOD))
    report = ReadReport()
    read = read_trajectories(settings.output, report)  # the folder: its trajectories.jsonl alone
    steps = list(make_steps(read, AgentDefinition.load("math").prompting, report))
    assert [step.target for step in steps] == ["Two in front, two behind.", "2 + 2 = 4, so $\\boxed{4}$."]
    assert {step.task_id for step in steps} == {"a"} and not report.records


def test_a_further_try_may_give_what_the_first_did_not(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, [free("a")])
    teacher = Scripted(lambda _, sampling: GOOD if sampling.temperature else FREE)
    assert rewrite(settings, generator=teacher).rewritten == 1 and len(teacher.asked) == 2


def test_more_steps_can_be_asked_for(tmp_path: Path) -> None:
    found = rewrite(settings_for(tmp_path, [free("a"), TITLED], min_steps=3), generator=Scripted(lambda *_: GOOD))
    assert found.reasons == {FEW: 1} and found.taken == 1 and found.answers == 3


def test_an_interrupted_run_goes_on_to_the_same_result(tmp_path: Path) -> None:
    def answer(text: str, sampling: Sampling) -> str:
        return FREE if "cow 3" in text and not sampling.temperature else GOOD

    rows = [free(str(number)) for number in range(6)]
    whole = settings_for(tmp_path, rows, output=tmp_path / "whole", workers=1)
    rewrite(whole, generator=Scripted(answer))
    for at in range(1, 7):  # the seventh request is the further try
        settings = settings_for(tmp_path, rows, output=tmp_path / f"run{at}", workers=1)
        with pytest.raises(KeyboardInterrupt):
            rewrite(settings, generator=Dying(answer, at))
        with (settings.output / "answers.jsonl").open("a") as file:
            file.write('{"record": "torn')
        again = Scripted(answer)
        rewrite(settings, generator=again)
        assert len(again.asked) == 7 - at
        for name in ("trajectories.jsonl", "report.json", "dropped.jsonl"):
            assert (settings.output / name).read_bytes() == (whole.output / name).read_bytes()
    silent = Scripted(answer)
    rewrite(whole, generator=silent)
    assert not silent.asked


def test_other_settings_or_records_on_the_same_folder_are_refused(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, [free("a")])
    rewrite(settings, generator=Scripted(lambda *_: GOOD))
    with pytest.raises(ConfigError, match="min_steps: was 2, is 3"):
        rewrite(settings_for(tmp_path, [free("a")], min_steps=3), generator=Scripted(lambda *_: GOOD))
    with pytest.raises(ConfigError, match=r"data\.records"):
        rewrite(settings_for(tmp_path, [free("b")]), generator=Scripted(lambda *_: GOOD))


def test_a_teacher_that_fails_before_its_first_answer_leaves_the_folder_free(tmp_path: Path) -> None:
    def failing(*_: object) -> str:
        raise GenerationError("not there")

    with pytest.raises(GenerationError):
        rewrite(settings_for(tmp_path, [free("a")]), generator=Scripted(failing))
    assert not (tmp_path / "run").exists()
    assert rewrite(settings_for(tmp_path, [free("a")], seed=1), generator=Scripted(lambda *_: GOOD)).rewritten == 1


def test_odd_rows_are_read(tmp_path: Path) -> None:
    lines = ["not json", json.dumps([1]), json.dumps(free("a\ud800", problem="odd \ud800")), json.dumps(free(0))]
    (tmp_path / "odd.jsonl").write_text("\n".join(lines) + "\n")
    (tmp_path / "folder").mkdir()
    (tmp_path / "odd.jsonl").rename(tmp_path / "folder" / "odd.jsonl")
    report = ReadReport()
    found = list(read_solutions(tmp_path / "folder", report))
    assert [(one.name, one.problem) for one in found] == [("a\ud800", "odd ?"), ("0", "How many legs has cow 0?")]
    assert {reason: entry.count for reason, entry in report.records.items()} == {
        "not JSON": 1, "no problem with a solution": 1
    }  # fmt: skip


@pytest.mark.shared
def test_more_of_the_real_solutions_become_steps(shared_data: Path, tmp_path: Path) -> None:
    file = shared_data / "math" / "contamination-audit_s1k.json"
    settings = RewriteSettings(source=str(file), policy="quickstart", output=tmp_path / "run", tries=0)
    solutions = {row["id"]: row["solution"] for row in json.loads(file.read_text())}
    already = {name for name, text in solutions.items() if len(split_steps(text)) > 1}
    source = sort_records(settings)
    assert len(source.solutions) == len(solutions) == len(already) + len(source.asked) + len(source.unfit)
    found = rewrite(settings, generator=Scripted(lambda text, _: sentences(text)))
    assert found.taken == len(already) > 200
    assert found.rewritten > 200 and found.rewritten + sum(found.reasons.values()) == len(solutions) - len(already)
    report = ReadReport()
    list(read_trajectories(settings.output, report))
    assert report.trajectories == len(already) + found.rewritten and not report.records


class Handler(BaseHTTPRequestHandler):
    """`POST /v1/chat/completions`: the script's answer, after the failures that a test asked for."""

    server: Teacher

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.turn:
            self.server.requests.append(body)
            failure = self.server.failures.pop(0) if self.server.failures else None
        if failure == "drop":
            self.connection.close()
            return
        if failure == "stall":
            self.server.stalled.set()
            self.server.resume.wait()
        status, content = failure if isinstance(failure, tuple) else (200, None)
        message = {"role": "assistant", "content": GOOD}
        usage = {"prompt_tokens": 10, "completion_tokens": 5}
        data = json.dumps(
            content or {"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage}
        ).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *arguments: Any) -> None:
        """Quiet."""


class Teacher(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.turn = threading.Lock()
        self.requests: list[dict[str, Any]] = []
        self.failures: list[Any] = []
        self.stalled, self.resume = threading.Event(), threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


@pytest.fixture
def teacher(monkeypatch: pytest.MonkeyPatch) -> Iterator[Teacher]:
    monkeypatch.setattr(asking, "LONGEST_WAIT", 0.01)
    with Teacher() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.resume.set()
        server.shutdown()
        thread.join()


def command(server: Teacher, *more: str) -> list[str]:
    return ["trajectories", "rewrite", "source.jsonl", "--policy", server.url, *ENDPOINT, "--output", "run", *more]


def test_the_command_asks_an_endpoint(teacher: Teacher, run_root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_jsonl(run_root / "source.jsonl", [TITLED, *(free(str(number)) for number in range(9))])
    teacher.failures[:] = ["drop", (503, {"error": "later"})]
    assert main(command(teacher, "--dry-run")) == 0 and not teacher.requests and not (run_root / "run").exists()
    assert main(command(teacher, "--workers", "3")) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "rewritten 9" in said and "9 answers of the teacher, 90 prompt and 45 completion tokens" in said
    assert len(teacher.requests) == 11 and {body["temperature"] for body in teacher.requests} == {0.0}
    assert {body["model"] for body in teacher.requests} == {"teacher"}
    (rewriter,) = {row["rewritten_by"] for row in read_jsonl(Path("run/trajectories.jsonl")) if "rewritten_by" in row}
    assert rewriter.startswith("teacher at http://")
    assert main(["trajectories", "inspect", "run"]) == 0
    assert "10 trajectories (10 numbered)" in capsys.readouterr().out


def test_what_an_endpoint_refuses_is_asked_for_again(
    teacher: Teacher, run_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_jsonl(run_root / "source.jsonl", [free("a"), free("b")])
    teacher.failures[:] = [(400, {"error": "content was filtered"})]
    assert main(command(teacher, "--workers", "1")) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "refused by the endpoint 1" in said and "content was filtered" in said and "1 solutions in steps" in said
    assert main(command(teacher)) == 0 and len(teacher.requests) == 3
    assert "2 solutions in steps" in capsys.readouterr().out


def test_an_endpoint_that_breaks_off_loses_nothing(
    teacher: Teacher, run_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_jsonl(run_root / "source.jsonl", [free(str(number)) for number in range(4)])
    teacher.failures[:] = [None, None, (401, {"error": "no more credit"})]
    assert main(command(teacher, "--workers", "1")) == 1
    captured = capsys.readouterr()
    assert "status 401" in captured.err and "no more credit" in captured.err and "Traceback" not in captured.err
    assert len(list(read_jsonl(run_root / "run" / "answers.jsonl"))) == 2
    assert main(command(teacher, "--workers", "1")) == 0
    assert len(teacher.requests) == 5 and "rewritten 4" in " ".join(capsys.readouterr().out.split())


@pytest.mark.timeout(120)
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_ended_goes_on(teacher: Teacher, run_root: Path, how: signal.Signals) -> None:
    write_jsonl(run_root / "source.jsonl", [free(str(number)) for number in range(4)])
    teacher.failures[:] = [None, None, "stall"]
    words = ["env", "--default-signal=INT", sys.executable, "-m", "swe_srl", *command(teacher, "--workers", "1")]
    program = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=os.environ)
    try:
        assert teacher.stalled.wait(60)
        answers, until = run_root / "run" / "answers.jsonl", time.monotonic() + 60
        while len(list(read_jsonl(answers))) < 2 and time.monotonic() < until:
            time.sleep(0.05)  # the third request may be out before the second answer is written
        program.send_signal(how)
        _, said = program.communicate(timeout=60)
    finally:
        program.kill()
    if how is signal.SIGINT:
        assert program.returncode == 130 and "go on with: swe-srl trajectories rewrite" in said
    assert len(list(read_jsonl(run_root / "run" / "answers.jsonl"))) == 2
    assert main(command(teacher, "--workers", "1")) == 0 and len(teacher.requests) == 5
    assert len(list(read_jsonl(run_root / "run" / "trajectories.jsonl"))) == 4


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("source.jsonl", "policy: name the teacher"),
        ("source.jsonl --policy expert", "expert writes no text"),
        ("source.jsonl --policy http://x/v1", "an endpoint needs the name of the model"),
        ("source.jsonl --policy none/model/here", "no such model folder"),
        ("source.jsonl --policy x", "unknown name 'x'. Known: quickstart\n"),
        ("none.jsonl --policy quickstart", "none.jsonl: no such file or folder"),
        ("source.jsonl --policy quickstart --tries -1", "tries must be at least 0"),
        ("source.jsonl --policy quickstart --workers 0", "workers must be at least 1"),
        ("source.jsonl --policy quickstart --min-steps 1", "min_steps must be at least 2"),
        ("source.jsonl --policy quickstart --temperature 0", "gives the same answer again"),
        ("source.jsonl --policy quickstart --dtype float8", "unknown value 'float8'"),
        ("source.jsonl --policy quickstart --output source.jsonl", "is not a folder"),
        ("source.jsonl --policy http://x/v1 --endpoint-model m --api-key-env NO_KEY", "NO_KEY is not set"),
    ],
)
@pytest.mark.parametrize("dry", [True, False])
def test_wrong_input(run_root: Path, capsys: pytest.CaptureFixture[str], words: str, message: str, dry: bool) -> None:
    write_jsonl(run_root / "source.jsonl", [free("a")])
    assert main(["trajectories", "rewrite", *words.split(), *(["--dry-run"] if dry else [])]) == 2
    assert message in capsys.readouterr().err
    assert not (run_root / "runs").exists()
