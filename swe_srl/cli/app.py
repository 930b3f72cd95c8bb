"""From the process's arguments to an exit code: 0 done, 1 failure, 2 usage, configuration or input, 130 interrupted."""

from __future__ import annotations

import errno
import io
import logging
import os
import shlex
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from tempfile import gettempdir
from types import FrameType
from typing import TextIO

from swe_srl.cli.commands import COMMANDS, Command, find, group_of, handler_of
from swe_srl.errors import ConfigError, SweSrlError, TaskError, ToldElsewhereError, TrajectoryError
from swe_srl.launched import launched
from swe_srl.plain import plain

OK, FAILURE, USAGE, INTERRUPTED = 0, 1, 2, 130
HELP_WORDS = ("-h", "--help", "help")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: the arguments after the program's name; None takes the process's own.

    Returns:
        The exit code.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # what a sandbox printed is shown, whatever the terminal can show
    try:
        code = _dispatch(arguments)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # Who read our output (head, less) has gone: nothing more to say, also not when the interpreter flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILURE


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in HELP_WORDS:
        print(overview())
        return OK if arguments else USAGE
    if arguments[0] == "--version":
        from swe_srl import __version__

        print(f"swe-srl {__version__}")
        return OK
    group = group_of(arguments)
    if group and (len(arguments) == 1 or arguments[1] in HELP_WORDS):
        print(overview(arguments[0]))
        return OK if len(arguments) > 1 else USAGE
    try:
        command, rest = find(arguments)
    except ConfigError as error:
        return _complain("swe-srl", error, "swe-srl --help")
    return _run(command, rest, shlex.join(["swe-srl", *arguments]))


def _run(command: Command, arguments: list[str], typed: str) -> int:
    """One command with every way it can end."""
    from swe_srl.cli.arguments import parse
    from swe_srl.cli.console import Console

    # The model and the sandboxes share the cores: the model's idle threads sleep instead of spinning.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    name = f"swe-srl {command.name}"
    verbose, speaks = "--verbose" in arguments, launched().local == 0  # settings are the same in all of a machine
    console = Console(typed)
    log = ExitStack()
    try:
        parsed = parse(command, arguments)
        if parsed.print_config:
            from swe_srl.settings import as_yaml

            console.say(as_yaml(parsed.settings).rstrip("\n"))
            return OK
        if parsed.dry_run and parsed.estimate:
            raise ConfigError("--dry-run and --estimate: give one of them")
        log.enter_context(_logging_to_standard_error(parsed.verbose))
        with _termination_interrupts():
            speaks = True
            handler = command.plan if parsed.dry_run else command.estimate if parsed.estimate else command.handler
            code = handler_of(handler)(parsed.settings, console)
        return OK if code is None else code
    except SystemExit as done:  # --help
        return done.code if isinstance(done.code, int) else OK
    except KeyboardInterrupt:
        console.close()
        if launched().main:
            print(f"\n{name}: interrupted. {console.resume_hint}".rstrip(), file=sys.stderr)
        return INTERRUPTED
    except ToldElsewhereError:
        return FAILURE
    except BrokenPipeError:
        raise
    except (SweSrlError, OSError) as error:
        console.close()
        if not speaks:
            return USAGE
        if verbose:
            logging.getLogger("swe_srl").exception("%s", error)
        return _complain(name, error, f"{name} --help", console.resume_hint)
    finally:
        console.close()
        log.close()


def _complain(name: str, error: Exception, help_command: str, resume_hint: str = "") -> int:
    if isinstance(error, OSError) and not isinstance(error, SweSrlError) and error.strerror:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT) and error.strerror == os.strerror(error.errno)
        where = f"{error.filename}: " if error.filename else "" if full else "the system: "
        todo = (
            f": make room where the command writes (its output folder, {gettempdir()}). {resume_hint}" if full else ""
        )
        print(f"{name}: {where}{error.strerror}{todo}".rstrip(), file=sys.stderr)
        return FAILURE
    hint = f"\n(see {help_command})" if isinstance(error, ConfigError) else ""
    said = f"{name}: {error}{hint}"
    print(plain(said) if sys.stderr.isatty() else said, file=sys.stderr)
    return USAGE if isinstance(error, (ConfigError, TaskError, TrajectoryError)) else FAILURE


class _StandardError(logging.StreamHandler[TextIO]):
    """Writes to what standard error is at that moment: above the bars, while there are some."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr  # not by setStream, which would flush the former one: it may be closed
        super().emit(record)

    def format(self, record: logging.LogRecord) -> str:
        return plain(super().format(record))


@contextmanager
def _logging_to_standard_error(verbose: bool) -> Iterator[None]:
    """While a command runs, the package's log goes to standard error: warnings, or everything with `--verbose`. Libraries keep
    quiet."""
    handler = _StandardError()
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    logger = logging.getLogger("swe_srl")
    before = logger.handlers[:], logger.level, logger.propagate
    logger.handlers[:] = [handler]
    logger.setLevel(logging.DEBUG if verbose else logging.WARNING)
    logger.propagate = False
    try:
        yield
    finally:
        logger.handlers[:], logger.level, logger.propagate = before


@contextmanager
def _termination_interrupts() -> Iterator[None]:
    """While a command runs, SIGTERM ends it as Ctrl-C does: sandboxes are closed, journals are whole."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    old = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, old)


def overview(group: str = "") -> str:
    """The list of commands, or of one group's commands."""
    shown = [command for command in COMMANDS if not group or command.name.split()[0] == group]
    width = max(len(command.name) for command in shown) + 2
    lines = [f"  {command.name:<{width}}{command.summary}" for command in shown]
    head = f"usage: swe-srl {group + ' ' if group else ''}COMMAND [flags] [KEY=VALUE ...]"
    purpose = "Train and evaluate software-engineering agents with Supervised Reinforcement Learning."
    tail = "Every command answers --help. Exit codes: 0 done, 1 failure, 2 wrong usage, configuration or input."
    return "\n".join([head, "", *([] if group else [purpose, ""]), "commands:", *lines, "", tail])
