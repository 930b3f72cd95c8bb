"""Settings of `swe-srl trajectories rewrite`. Imports neither torch nor a model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from swe_srl.errors import ConfigError
from swe_srl.evaluation.settings import DTYPES, SCRIPTED, EvalSettings
from swe_srl.settings import check_at_least, check_choices, setting
from swe_srl.trajectories.readers.numbered import FEWEST
from swe_srl.types import Sampling

RUNTIME = ("workers", "device", "output", "api_key_env")  # what may change when a run is resumed


@dataclass(frozen=True)
class RewriteSettings:
    """Let a teacher restate free-form solutions as numbered steps with titles, to train on."""

    source: str = setting(
        "",
        "Problems with solutions: a file or folder of records (`problem` or `question`, `solution`, `answer` where it is "
        "known), or a data set owner/name[@split[@revision]] of the hub.",
    )
    policy: str = setting(
        "",
        "The teacher: the URL of an OpenAI-compatible endpoint, a model folder or hub id, or quickstart (the bundled model).",
    )
    endpoint_model: str = setting("", "Name of the model to ask an endpoint for.")
    api_key_env: str = setting(
        "",
        "Environment variable that holds an endpoint's key; empty: OPENAI_API_KEY when that is set, else no key is sent.",
    )
    min_steps: int = setting(FEWEST, "Steps that a rewritten solution must have.")
    tries: int = setting(2, "Further tries for a record whose answer cannot be used.")
    temperature: float = setting(0.7, "Sampling temperature of the further tries; the first is drawn at 0.")
    max_new_tokens: int = setting(4096, "Tokens an answer may have; a longer one counts as a try.")
    limit: int = setting(0, "Only the first so many records; 0 takes all.")
    seed: int = setting(0, "Seed of the sampling.")
    workers: int = setting(8, "Requests to an endpoint at a time; records in a local model's batch.")
    device: str = setting("auto", "Where a local model runs: auto, cpu, cuda, …")
    dtype: str = setting("auto", "Arithmetic of a local model; auto is float32 on a CPU, bfloat16 on a GPU.", DTYPES)
    output: Path = setting(Path("runs/rewritten"), "Run folder; `trajectories.jsonl` in it has the solutions in steps.")

    def __post_init__(self) -> None:
        check_at_least(self, min_steps=FEWEST, tries=0, temperature=0, max_new_tokens=1, limit=0, workers=1)
        check_choices(self)
        if self.tries and not self.temperature:
            raise ConfigError(
                "temperature: at 0 a further try gives the same answer again: set it above 0, or tries to 0"
            )
        self.sampling(1)

    @property
    def teacher(self) -> EvalSettings:
        """The policy settings of an evaluation: they make the teacher's model.

        Raises:
            ConfigError: no policy, one that writes nothing, or an endpoint without its model's name.
        """
        if not self.policy:
            raise ConfigError("policy: name the teacher: an endpoint's URL, a model folder, a hub id, or quickstart")
        if self.policy in SCRIPTED:
            raise ConfigError(f"policy: {self.policy} writes no text: a teacher is an endpoint's URL or a model")
        return EvalSettings(
            policy=self.policy,
            endpoint_model=self.endpoint_model,
            api_key_env=self.api_key_env,
            device=self.device,
            dtype=self.dtype,
        )

    def sampling(self, number: int) -> Sampling:
        """How the answer of a try is drawn; `number` counts from 0.

        Raises:
            ConfigError: a temperature that nothing can be drawn with.
        """
        try:
            return Sampling(self.temperature if number else 0.0, max_new_tokens=self.max_new_tokens)
        except ValueError as error:
            raise ConfigError(str(error)) from error
