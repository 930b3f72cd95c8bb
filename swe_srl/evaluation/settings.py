"""Settings of `swe-srl eval`. Imports neither torch nor a model."""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

from swe_srl.definitions import environment_for
from swe_srl.errors import ConfigError
from swe_srl.settings import as_mapping, check_at_least, setting
from swe_srl.tasks.images import IMAGE_RULES
from swe_srl.tasks.problems import PROBLEM_SETS
from swe_srl.types import Limits, Task

QUICKSTART = "quickstart"
LOCAL, RAY = EXECUTORS = ("local", "ray")
DTYPES = ("auto", "float32", "bfloat16", "float16")
SCRIPTED = ("expert", "gold", "empty")
# what may change when a run is resumed
RUNTIME = (
    "workers", "grading_workers", "output", "device", "retries", "cache", "pull", "pulls", "pull_timeout", "disk_budget",
    "price_prompt", "price_completion", "check", "check_sample", "executor", "ray_address",
)  # fmt: skip
# came later: at their defaults they do not change a folder's name
LATER = ("exclude", "shard", "regrade", "images", "platform", "max_seconds", "difficulty")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)i?B?\Z", re.IGNORECASE)


@dataclass(frozen=True)
class EvalSettings:
    """An evaluation run: an agent works on tasks, its patches are graded, a report is written."""

    split: str = setting(
        QUICKSTART,
        "Tasks: lite, verified, quickstart, …, a file or folder of rows, or a hub id; or problems with an answer: aime24, "
        "aime25, amc23, minerva, math500.",
    )
    tasks: str = setting(
        "", "File of task rows that stands in for the split (no hub needed), or a .txt file of instance ids to keep."
    )
    revision: str = setting("", "Commit, branch or tag of a hub data set; empty for the pinned or newest one.")
    instances: tuple[str, ...] = setting((), "Only these instances: ids, or .txt lists.")
    difficulty: tuple[str, ...] = setting(
        (), "Only tasks of these difficulties, as the report's table by difficulty writes them."
    )
    filter: str = setting("", "Only instances whose id matches this regular expression.")
    exclude: tuple[str, ...] = setting(
        (), "Not these instances, or those in a .txt file (--check writes one). The report names them."
    )
    limit: int = setting(0, "Only the first so many instances; 0 takes all.")
    shard: str = setting(
        "", "Only part i of n, as 2/4: for several machines. `swe-srl merge` makes one run of the parts."
    )
    policy: str = setting(
        QUICKSTART,
        "Who acts: a model folder or hub id, quickstart (the bundled model), the URL of an OpenAI-compatible endpoint, "
        "expert, gold or empty.",
    )
    endpoint_model: str = setting("", "Name of the model to ask an endpoint for.")
    api_key_env: str = setting(
        "",
        "Environment variable that holds an endpoint's key; empty: OPENAI_API_KEY when that is set, else no key is sent.",
    )
    trajectories: str = setting(
        "", "Expert trajectories of the tasks: what the expert policy replays and similarity is measured against."
    )
    agent: str = setting("", "Agent definition; empty: quickstart for quickstart tasks, else shell.")
    environment: str = setting(
        "",
        "Environment definition; empty: swebench for tasks with an image, quickstart for quickstart's, else default.",
    )
    sandbox: str = setting("auto", "Where episodes and tests run.", ("auto", "local", "docker"))
    check: bool = setting(
        False,
        "Only check: grade the gold and the empty patch on a sample of the tasks, and list those that are broken.",
    )
    check_sample: int = setting(20, "Tasks that --check draws; 0 takes all.")
    samples: int = setting(1, "Episodes per task.")
    temperature: float | None = setting(None, "Sampling temperature; none takes the agent definition's.")
    max_new_tokens: int | None = setting(None, "Tokens a completion may have; none takes the agent definition's.")
    max_turns: int | None = setting(None, "Turns an episode may take; none takes the agent definition's.")
    max_tokens: int | None = setting(None, "Completion tokens an episode may take; none takes the agent definition's.")
    max_seconds: float | None = setting(
        None, "Wall time an episode may take; none takes the agent definition's, 0 is no limit."
    )
    seed: int = setting(0, "Seed of the sampling.")
    hardened: bool = setting(True, "Run the tests of every officially resolved patch a second time, hardened.")
    grading_timeout: float = setting(1800.0, "Seconds that a task's tests may take.")
    regrade: int = setting(1, "Gradings of every patch: the majority decides, and what differs is named as flaky.")
    cache: str = setting("", "Folder of verdicts known already, shared between runs; empty grades everything anew.")
    images: str = setting(
        "auto", "How the images of rows that name none are called; auto: by the data set's own rule.", IMAGE_RULES
    )
    pull: bool = setting(False, "Pull images that are not here when a task needs them.")
    pulls: int = setting(2, "Images pulled or built at a time.")
    pull_timeout: float = setting(
        300.0, "Seconds without a byte after which a pull is broken off and tried again; 0: never."
    )
    disk_budget: str = setting(
        "",
        "Room for container images, as 60GB: images that swe-srl pulled or built and nobody uses make room. Empty: no bound.",
    )
    platform: str = setting(
        "", "Take images of this platform (linux/amd64) although the engine's own is another: emulated."
    )
    price_prompt: float = setting(0.0, "Price of a million prompt tokens, for the report's cost per task.")
    price_completion: float = setting(0.0, "Price of a million completion tokens.")
    executor: str = setting(
        LOCAL, "Where episodes and gradings are run: on this machine, or on the nodes of a Ray cluster.", EXECUTORS
    )
    ray_address: str = setting(
        "", "HOST:PORT of the Ray cluster; empty: $RAY_ADDRESS, else the cluster that was started on this machine."
    )
    workers: int = setting(0, "Episodes at a time, on each node of a cluster; 0: by the machine's cores and memory.")
    grading_workers: int = setting(2, "Patches graded at a time, on each node of a cluster.")
    retries: int = setting(1, "Further tries of an episode or grading that the infrastructure broke.")
    device: str = setting("auto", "Where a local model runs: auto, cpu, cuda, …")
    dtype: str = setting("auto", "Arithmetic of a local model; auto is float32 on a CPU, bfloat16 on a GPU.", DTYPES)
    output: Path | None = setting(None, "Run folder; none: runs/eval/, named by split, policy and settings.")

    def __post_init__(self) -> None:
        check_at_least(self, limit=0, samples=1, workers=0, grading_workers=1, retries=0)
        check_at_least(self, check_sample=0, regrade=1, pulls=1, pull_timeout=0, price_prompt=0, price_completion=0)
        parse_shard(self.shard)
        parse_size(self.disk_budget)
        check_at_least(self, max_turns=1, max_new_tokens=1, max_tokens=0, max_seconds=0, temperature=0)
        if self.grading_timeout <= 0:
            raise ConfigError(f"grading_timeout must be positive, not {self.grading_timeout}")
        try:
            re.compile(self.filter)
        except re.error as error:
            raise ConfigError(f"filter: {self.filter!r} is no regular expression: {error}") from error
        if self.check and self.asks_problems:
            raise ConfigError(f"check: the problems of {self.split} have no environment to check; try --policy gold")
        if self.executor == RAY and self.check:
            raise ConfigError("check: tasks are checked on this machine: leave --executor out")
        if self.executor == RAY and self.asks_problems:
            raise ConfigError(
                f"executor: the problems of {self.split} need no sandboxes, so they are not spread over a cluster: give an "
                f"endpoint as the policy to use several GPUs, or --shard on each machine"
            )
        if self.ray_address and self.executor != RAY:
            raise ConfigError("ray_address: it is for --executor ray")
        if self.is_endpoint and not self.endpoint_model:
            raise ConfigError("endpoint_model: an endpoint needs the name of the model to ask for")

    @property
    def is_endpoint(self) -> bool:
        """Whether the policy is an endpoint's URL."""
        return self.policy.startswith(("http://", "https://"))

    @property
    def episodes_at_a_time(self) -> int:
        """`workers`, or as many as this machine has room for: two for each core, as far as memory reaches for a sandbox each."""
        return self.workers or usual_episodes(*machine_size())

    @property
    def agent_name(self) -> str:
        """The agent definition that shows tasks to the policy."""
        usual = "math-answer" if self.asks_problems else "shell"
        return self.agent or (QUICKSTART if self.split.startswith(QUICKSTART) else usual)

    @property
    def asks_problems(self) -> bool:
        """Whether the tasks are problems with a final answer, without repository and sandbox."""
        return self.split in PROBLEM_SETS

    def environment_name(self, task: Task) -> str:
        """The environment definition that a task is worked on in."""
        if self.environment:
            return self.environment
        own_rows = bool(self.tasks) and not self.tasks.endswith(".txt")
        return environment_for(task, self.sandbox, self.split.startswith(QUICKSTART) and not own_rows)

    @property
    def folder(self) -> Path:
        """The run folder: the same settings give the same one, so that the same command resumes."""
        if self.output is not None:
            return self.output
        usual = as_mapping(EvalSettings())
        content = {
            key: value
            for key, value in as_mapping(self).items()
            if key not in RUNTIME and (key not in LATER or value != usual[key])
        }
        digest = hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:8]
        return Path("runs/eval") / "-".join([_word(self.split), _word(self.policy), digest])


def machine_size() -> tuple[int, int]:
    """Cores that this process may use, and the machine's memory in MiB."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20
    return len(os.sched_getaffinity(0)), memory


def usual_episodes(cores: int, memory_mb: int) -> int:
    """Episodes at a time that a machine of this size has room for.

    >>> usual_episodes(8, 64 << 10), usual_episodes(8, 9 << 10)
    (16, 2)
    """
    return max(1, min(2 * cores, memory_mb // (2 * Limits().memory_mb)))


def parse_shard(text: str) -> tuple[int, int]:
    """Part and number of parts; "" is the whole.

    Raises:
        ConfigError: not of the form i/n with 1 <= i <= n.

    >>> parse_shard("2/4"), parse_shard("")
    ((2, 4), (1, 1))
    """
    match = re.fullmatch(r"(\d+)/(\d+)", text or "1/1")
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise ConfigError(f"shard: part i of n is written i/n with 1 <= i <= n, as 2/4, not {text!r}")
    return int(match[1]), int(match[2])


def parse_size(text: str) -> int:
    """Bytes in a size such as 60GB (decimal, as Docker counts); "" is 0.

    Raises:
        ConfigError: no size.

    >>> parse_size("1.5 GB"), parse_size("200M"), parse_size("")
    (1500000000, 200000000, 0)
    """
    if not text:
        return 0
    match = _SIZE.match(text.strip())
    if match is None or float(match[1]) <= 0:
        raise ConfigError(f"disk_budget: a size such as 60GB was expected, not {text!r}")
    return int(float(match[1]) * 1000 ** " KMGT".index(match[2].upper() or " "))


def _word(text: str) -> str:
    """The last part of a name or path, fit for a file name.

    >>> _word("runs/train/final/")
    'final'
    """
    return re.sub(r"[^\w.]+", "_", text.rstrip("/").rsplit("/", 1)[-1])
