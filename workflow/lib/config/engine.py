"""What computes the training of zoos."""

from __future__ import annotations

from pydantic import Field, model_validator

from lib.config.types import Block, Count, Kernels, Memory, Precision


class Engine(Block):
    """What computes a training step of classifiers, and how much memory it may take."""

    kernels: Kernels = Field(
        "compiled",
        description="part of the result's definition: `compiled`: machine code made for the "
        "architecture, on the CPU; `vmap`: `torch.func.vmap`, for any module, on CPU and GPU",
    )
    width: Count = Field(
        10,
        description="`vmap`: networks run at once inside a job; decides how sums are rounded, so "
        "it is part of the result's definition (shard_size is not)",
    )
    precision: Precision = Field(
        "float32",
        description="`vmap` on a GPU: arithmetic of matrix products and convolutions; `bf16` is "
        "mixed precision, weights stay float32",
    )
    max_memory: Memory = Field(
        "4 GiB",
        description="most memory of a training job (of the GPU with device cuda): megabytes, or "
        "text such as `4 GiB`; does not change any result",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Engine:
        if self.kernels == "compiled" and self.precision != "float32":
            raise ValueError(
                f"precision {self.precision} needs kernels vmap; compiled ones are exact float32"
            )
        return self
