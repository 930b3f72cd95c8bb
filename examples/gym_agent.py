"""Four environments side by side, with both rewards: how close to the expert (every step), is it resolved (at the end).

    python examples/gym_agent.py

The agent is a toy: in half of the environments it does what the expert did, in the others it only
looks around. Its own commands run (`on_policy`), in four sandboxes at once. Needs bubblewrap; takes a few seconds.
"""

from __future__ import annotations

import gymnasium

from swe_srl.envs import ExpertSimilarity, Resolved, make_vec
from swe_srl.tasks import load_tasks
from swe_srl.trajectories import read_trajectories
from swe_srl.types import Action, Trajectory

ENVIRONMENTS = 4
LOOKING_AROUND = ("ls", "git log --oneline", "python3 -m unittest 2>&1 | tail -n 1")


def experts() -> dict[str, Trajectory]:
    """The bundled expert trajectories of the training tasks, by task."""
    return {trajectory.task_id: trajectory for trajectory in read_trajectories("quickstart")}


def commands(expert: Trajectory, diligent: bool) -> list[str]:
    """What the toy agent will do: all that the expert did, or a look around before it gives up."""
    followed = [turn.action.command for turn in expert.turns if isinstance(turn.action, Action)]
    return followed if diligent else [*LOOKING_AROUND, "submit"]


def main() -> None:
    known = experts()
    tasks = [task for task in load_tasks("quickstart-train") if task.instance_id in known][:ENVIRONMENTS]

    def rewarded(env: gymnasium.Env[str, str]) -> gymnasium.Env[str, str]:
        return Resolved(ExpertSimilarity(env, list(known.values()), mode="on_policy"))

    environments = make_vec(len(tasks), wrap=rewarded, tasks=tasks)
    try:
        _, infos = environments.reset(seed=0)
        ids = list(infos["task_id"])
        plans = [commands(known[task], diligent=number % 2 == 0) for number, task in enumerate(ids)]
        running, rewards, resolved = set(range(len(ids))), [0.0] * len(ids), [False] * len(ids)
        turn = 0
        while running:
            actions = [plan[min(turn, len(plan) - 1)] for plan in plans]
            _, step_rewards, terminated, truncated, infos = environments.step(actions)
            for number in sorted(running):
                rewards[number] += float(step_rewards[number])
                if terminated[number] or truncated[number]:
                    running.remove(number)
                    resolved[number] = bool(infos["resolved"][number])
            turn += 1
    finally:
        environments.close()
    for task, plan, reward, done in zip(ids, plans, rewards, resolved, strict=True):
        outcome = "resolved" if done else "not resolved"
        print(f"{task}: {len(plan)} commands, rewards of {reward:.2f} in all, {outcome}")


if __name__ == "__main__":
    main()
