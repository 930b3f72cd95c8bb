"""The ways a command can end: exit codes, messages, interrupts, a reader that goes away."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from tempfile import gettempdir

import pytest

from swe_srl.cli import app, commands
from swe_srl.cli.commands import COMMANDS, Command
from swe_srl.cli.console import Console
from swe_srl.definitions import KINDS
from swe_srl.errors import ConfigError, SandboxError
from swe_srl.settings import setting, settings_of

HEAVY = {"torch", "transformers", "datasets", "swebench", "pandas", "docker", "gymnasium", "rich"}


@dataclass(frozen=True)
class Nothing:
    how: str = setting("well", "How it ends.")


def handle(settings: Nothing, console: Console) -> int | None:
    console.resumable("runs/one")
    outcomes: dict[str, BaseException] = {
        "config": ConfigError("the setting is wrong"),
        "sandbox": SandboxError("the sandbox is gone"),
        "disk": OSError(28, "No space left on device", "runs/one"),
        "nameless": OSError(28, "No space left on device"),  # as a write into an open file raises it
        "interrupt": KeyboardInterrupt(),
        "bug": ZeroDivisionError("a defect"),
    }
    if settings.how in outcomes:
        raise outcomes[settings.how]
    if settings.how == "terminated":
        os.kill(os.getpid(), signal.SIGTERM)
    console.say(f"ended {settings.how}")
    return 1 if settings.how == "badly" else None


def plan(settings: Nothing, console: Console) -> None:
    console.say("would end")


FAKE = (
    Command("end", "end", f"{__name__}:Nothing", f"{__name__}:handle", plan=f"{__name__}:plan"),
    Command("things list", "list things", f"{__name__}:Nothing", f"{__name__}:handle"),
)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "COMMANDS", FAKE)
    monkeypatch.setattr(app, "COMMANDS", FAKE)


@pytest.mark.parametrize(
    ("arguments", "code", "out", "err"),
    [
        (["end"], 0, "ended well", ""),
        (["things", "list"], 0, "ended well", ""),
        (["end", "--how", "badly"], 1, "ended badly", ""),
        (["end", "--how", "config"], 2, "", "swe-srl end: the setting is wrong\n(see swe-srl end --help)"),
        (["end", "--how", "sandbox"], 1, "", "swe-srl end: the sandbox is gone\n"),
        (["end", "--how", "disk"], 1, "", "runs/one: No space left on device: make room"),
        (
            ["end", "--how", "nameless"],
            1,
            "",
            f"swe-srl end: No space left on device: make room where the command writes (its output folder, {gettempdir()}). "
            "What is finished is kept in runs/one; go on with: swe-srl end",
        ),
        (
            ["end", "--how", "interrupt"],
            130,
            "",
            "interrupted. What is finished is kept in runs/one; go on with: swe-srl end",
        ),
        (["end", "--how", "terminated"], 130, "", "interrupted."),
        (["end", "--dry-run"], 0, "would end", ""),
        (["end", "--print-config", "how=so"], 0, "# How it ends.\nhow: so", ""),
        (["edn"], 2, "", "unknown command 'edn': did you mean 'end'?"),
        (["things", "lst"], 2, "", "unknown things command 'lst': did you mean 'list'?"),
        (["things"], 2, "things list", ""),
        (["things", "--help"], 0, "things list", ""),
        ([], 2, "commands:", ""),
        (["--help"], 0, "commands:", ""),
        (["end", "--help"], 0, "--how HOW", ""),
        (["end", "--hwo", "x"], 2, "", "did you mean '--how'?"),
        (["--version"], 0, "swe-srl ", ""),
    ],
)
@pytest.mark.usefixtures("fake")
def test_every_ending(arguments: list[str], code: int, out: str, err: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.main(arguments) == code
    captured = capsys.readouterr()
    assert out in captured.out and err in captured.err
    assert "Traceback" not in captured.err
    assert bool(err) == bool(captured.err)


@pytest.mark.usefixtures("fake")
def test_verbose_shows_where_an_error_comes_from(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.main(["end", "--how", "sandbox", "--verbose"]) == 1
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.usefixtures("fake")
def test_a_defect_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        app.main(["end", "--how", "bug"])


@pytest.mark.usefixtures("fake")
def test_termination_is_given_back_after_the_command() -> None:
    before = signal.getsignal(signal.SIGTERM)
    app.main(["end"])
    assert signal.getsignal(signal.SIGTERM) is before


def test_every_command_names_real_settings_and_functions() -> None:
    for command in COMMANDS:
        kind = command.settings_class()
        assert set(command.positionals) <= settings_of(kind).keys(), command.name
        for reference in filter(None, (command.handler, command.plan)):
            assert callable(commands.handler_of(reference)), reference
        assert command.recipes in ("", *KINDS)
        without_help = [name for name, item in settings_of(kind).items() if not item.help]
        assert not without_help, f"{command.name}: no help for {without_help}"


@pytest.mark.parametrize(
    "arguments", [["--help"], ["tasks", "--help"], *([*c.name.split(), "--help"] for c in COMMANDS)]
)
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    probe = (
        "import sys; from swe_srl.cli import main; code = main(sys.argv[1:]);"
        f"loaded = sorted({HEAVY!r} & sys.modules.keys()); print(loaded, file=sys.stderr);"
        "sys.exit(code or bool(loaded))"
    )
    done = subprocess.run([sys.executable, "-c", probe, *arguments], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert "usage: swe-srl" in done.stdout


def test_a_reader_that_goes_away_ends_the_program_quietly() -> None:
    probe = "import sys; from swe_srl.cli import main; sys.exit(main(['--help']))"
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(
            [sys.executable, "-c", probe], stdout=write, stderr=subprocess.PIPE, text=True, timeout=240
        )
    finally:
        os.close(write)
    assert done.returncode == 1 and done.stderr == ""
