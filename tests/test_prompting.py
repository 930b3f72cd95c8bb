import pytest

from swe_srl.errors import ConfigError
from swe_srl.trajectories.prompting import Prompting, elide, render_messages
from swe_srl.types import Action, FormatError, Turn

TURNS = [Turn(Action(f"ls {i}", f"thought {i}"), observation=f"out {i}", exit_code=0) for i in range(4)]


def test_full_context_shows_every_round_and_ends_with_the_user() -> None:
    messages = render_messages(Prompting(system="S"), "Fix it.", TURNS)
    assert [message.role for message in messages] == ["system", "user", *["assistant", "user"] * 4]
    assert messages[1].content == "Fix it."
    assert messages[-1].content == "out 3"


def test_last_k_shows_the_issue_and_the_last_rounds() -> None:
    messages = render_messages(Prompting(context="last_k", rounds=2), "Fix it.", TURNS)
    assert [message.content for message in messages] == [
        "Fix it.", "```bash\nls 2\n```", "out 2", "```bash\nls 3\n```", "out 3",
    ]  # fmt: skip


def test_no_rounds_shows_the_issue_alone() -> None:
    assert len(render_messages(Prompting(context="last_k", rounds=0), "Fix it.", TURNS)) == 1


def test_thoughts_stay_only_when_asked() -> None:
    assert "thought 0" not in render_messages(Prompting(), "Fix it.", TURNS)[1].content
    assert "<think>thought 0</think>" in render_messages(Prompting(history_thoughts=True), "Fix it.", TURNS)[1].content


def test_a_malformed_turn_keeps_its_text() -> None:
    turns = [Turn(FormatError("no command", "hm"), observation="Not run: no command.")]
    assert [message.content for message in render_messages(Prompting(), "Fix it.", turns)[1:]] == [
        "hm",
        "Not run: no command.",
    ]


def test_a_contexts_prefix_is_the_earlier_context() -> None:
    prompting = Prompting(system="S", history_thoughts=True)
    assert render_messages(prompting, "Fix.", TURNS)[:6] == render_messages(prompting, "Fix.", TURNS[:2])


def test_long_observations_lose_their_middle_and_say_so() -> None:
    text = elide("a" * 50 + "b" * 50, 20)
    assert text == "a" * 10 + "\n[80 characters cut]\n" + "b" * 10
    assert elide("short", 20) == "short"


def test_a_bad_template_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match=r"instance template of the agent definition"):
        render_messages(Prompting(instance="{{ problem_statement"), "Fix.", [])


def test_an_unknown_variable_names_the_known_ones() -> None:
    with pytest.raises(
        ConfigError, match=r"instance template .*'issue' is undefined .*its variables: problem_statement"
    ):
        render_messages(Prompting(instance="{{ issue }}"), "Fix.", [])
    with pytest.raises(ConfigError, match=r"observation template .*'text' is undefined .*output, exit_code, killed"):
        render_messages(Prompting(observation="{{ text }}"), "Fix.", TURNS)
