"""From a public format's file to the context that a policy is shown, with the bundled agent definitions."""

import json

import pytest

from swe_srl.agents import AgentDefinition
from swe_srl.trajectories import make_steps, read_trajectories

AGENTS = ("shell", "shell-last-two", "shell-tools", "smoke", "quickstart", "quickstart-last-two", "quickstart-last-one")
SAID = "Look.\n```bash\nls\n```"


def _chat(*observations: str, **fields: str) -> dict[str, object]:
    messages = [{"role": "user", "content": "It breaks."}]
    for observation in observations:
        messages += [{"role": "assistant", "content": SAID}, {"role": "user", "content": observation}]
    return {"instance_id": "owner__name-1", "messages": [*messages, {"role": "assistant", "content": SAID}], **fields}


SWE_SMITH = _chat("OBSERVATION:\na.py\n")
SWE_AGENT = {
    "history": [{"role": "user", "content": "It breaks.", "agent": "primary"}],
    "trajectory": [{"action": "ls\n", "observation": "a.py\n", "response": SAID}] * 2,
    "info": {},
}
MINI = _chat("<returncode>0</returncode>\n<output>\na.py\n</output>")
MINI_FAILED = _chat("<returncode>2</returncode>\n<output>\na.py\n</output>")
R2E = _chat("Execution output of [execute_bash]:\na.py\n")
OPENHANDS = _chat("EXECUTION RESULT of [execute_bash]:\na.py\n[Command finished with exit code 0]")
OWN = {
    "format": "swe-srl-trajectory",
    "trajectory_id": "t",
    "turns": [{"command": "ls", "observation": "a.py\n"}, {"command": "ls"}],
}


@pytest.mark.parametrize("agent", AGENTS)
@pytest.mark.parametrize(
    ("record", "failed"),
    [
        (SWE_SMITH, False),
        (SWE_AGENT, False),
        (MINI, False),
        (MINI_FAILED, True),
        (R2E, False),
        (OPENHANDS, False),
        (OWN, False),
    ],
)
def test_an_exit_code_that_was_not_recorded_shows_nothing(tmp_path, agent, record, failed):
    path = tmp_path / "x.jsonl"
    path.write_text(json.dumps(record) + "\n")
    steps = list(make_steps(read_trajectories(path), AgentDefinition.load(agent).prompting))
    seen = steps[-1].context[-1].content
    code = ("[exit code 2]\n" if agent.startswith("shell") else "[exit 2]\n") if failed else ""
    assert seen.rstrip() == f"{code}a.py"
