"""What a launcher (torchrun, `accelerate launch`, mpirun, `swe-srl train --processes`) tells a process of its place."""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

from swe_srl.errors import ConfigError

COUNT = ("WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")
INDEX = ("RANK", "PMI_RANK", "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK")
LOCAL = ("LOCAL_RANK", "MPI_LOCALRANKID", "OMPI_COMM_WORLD_LOCAL_RANK", "MV2_COMM_WORLD_LOCAL_RANK")


@dataclass(frozen=True)
class Launched:
    """One of several processes that do the same work together.

    Args:
        index: from 0; the first one writes and speaks.
        local: the same on its machine.
        count: of all machines together.
    """

    index: int = 0
    local: int = 0
    count: int = 1

    @property
    def main(self) -> bool:
        """Whether it is the one that writes and speaks."""
        return self.index == 0


def launched(environment: Mapping[str, str] | None = None) -> Launched:
    """The place that the environment (default: the process's own) gives this process.

    >>> launched({"WORLD_SIZE": "4", "RANK": "3", "LOCAL_RANK": "1"})
    Launched(index=3, local=1, count=4)
    >>> launched({}).main
    True
    """
    values = os.environ if environment is None else environment
    count = _number(values, COUNT, 1)
    if count < 2:
        return Launched()
    index = _number(values, INDEX, 0)
    return Launched(index, _number(values, LOCAL, index), count)


def end(code: int) -> NoReturn:
    """End one of several processes, with what is registered for its exit, and without taking the interpreter apart.

    A model that is shared out is held by torch's caches to the very end, with it the threads of the connection to the other
    processes: now and then those ended the process by SIGABRT while the interpreter was taken apart.
    """
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def check_launcher(environment: Mapping[str, str] | None = None) -> None:
    """Refuse what `accelerate launch` was asked for and would be ignored here.

    Raises:
        ConfigError: names what to give instead.
    """
    values = os.environ if environment is None else environment
    wanted = {name.removeprefix("ACCELERATE_") for name in values if values[name].lower() == "true"}
    if "USE_DEEPSPEED" in wanted or "USE_MEGATRON_LM" in wanted:
        raise ConfigError(
            "accelerate launch: DeepSpeed and Megatron-LM are not supported; --shard shares the model out"
        )
    if "USE_FSDP" in wanted:
        raise ConfigError("accelerate launch --use_fsdp: give --multi_gpu there, and --shard to swe-srl train")
    if (mixed := values.get("ACCELERATE_MIXED_PRECISION", "no")) != "no":
        raise ConfigError(f"accelerate launch --mixed_precision {mixed}: give --dtype to swe-srl train instead")
    if "USE_CPU" in wanted and "MASTER_PORT" in values and not any(name in values for name in COUNT):
        raise ConfigError(
            "accelerate launch --cpu starts one process, however many it is asked for (without mpirun): use swe-srl train "
            "--processes N, or accelerate launch --multi_gpu --num_processes N, which starts them without a GPU too"
        )


def _number(values: Mapping[str, str], names: tuple[str, ...], default: int) -> int:
    found = next((values[name] for name in names if values.get(name, "").isdigit()), None)
    return default if found is None else int(found)
