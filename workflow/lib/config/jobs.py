"""What jobs ask of a cluster; no result depends on it."""

from __future__ import annotations

from pydantic import Field

from lib.config.types import Block, Count, Memory


class Jobs(Block):
    """What a job asks of a cluster: no result depends on it, and a change re-runs nothing.

    A job that fails and is tried again asks for twice as much, then three times.
    """

    memory: Memory = Field(
        "4 GiB",
        description="main memory of a job: megabytes, or text such as `4 GiB`; where shards are "
        "trained on the CPU it is `engine.max_memory` and a bit, which those jobs keep to",
    )
    runtime: Count = Field(120, description="minutes until a job is given up")
    on_gpu: dict[str, int | str] = Field(
        {},
        description="device cuda: what jobs on the GPU ask for beside `gpu: 1`, as resources of "
        "Snakemake: `{slurm_partition: gpu, gpu_model: a100}`, say, or `{gpu: 0, gres: gpu:1}` "
        "where the cluster knows GPUs as generic resources only",
    )
