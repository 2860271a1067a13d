"""What networks are functions of: images of classes, and shapes."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from lib.config.types import Block, Count, Rate, Share, by_kind


class Augmentation(Block):
    """Random changes of the training images, drawn anew for every instance and epoch."""

    crop_padding: int = Field(
        0, ge=0, description="black frame in pixels before a random crop; 0 for none"
    )
    flip: bool = Field(False, description="flip half of the images left to right")


class Images(Block):
    """Images of classes: where they come from and how they are split."""

    kind: Literal["images"] = Field("images", description="images of classes")
    source: Literal["digits", "cifar10", "tiny_imagenet", "folder"] = Field(
        "digits",
        description="`digits`: scikit-learn's handwritten digits, no download; "
        "`cifar10`: the published python archive; `tiny_imagenet`: the published archive or its "
        "folder; `folder`: a folder or archive of images by class",
    )
    path: str | None = Field(None, description="archive or folder (all but `digits`)")
    url: str | None = Field(
        None, description="where to download the archive from if `path` is not set; needs `sha256`"
    )
    sha256: str | None = Field(
        None, pattern=r"^[0-9a-f]{64}$", description="expected SHA-256 of the archive"
    )
    size: Literal[8, 32, 64] = Field(
        8, description="height and width in pixels; images of another size are resized"
    )
    channels: Literal[1, 3] = Field(1, description="1 for grey, 3 for colour")
    mean: tuple[float, ...] = Field(
        (0.3,), description="mean of each channel (of values in [0, 1])"
    )
    std: tuple[Rate, ...] = Field((0.38,), description="standard deviation of each channel")
    background: Literal["white", "black"] = Field(
        "white", description="what is seen through the transparent pixels of images"
    )
    validation: Share = Field(0.2, description="share of the training images kept for validation")
    test: Share = Field(
        0.3, description="share kept for testing where the source has no test images of its own"
    )
    background: Literal["white", "black"] = Field(
        "white", description="what is seen through the transparent pixels of images"
    )
    limit_per_class: Count | None = Field(
        None, description="use at most this many images of each class and split"
    )

    @field_validator("size", "channels", mode="before")
    @classmethod
    def _number_in_text(cls, value: Any) -> Any:
        """Numbers inside blocks given as `--config images={...}` arrive as text."""
        return int(value) if isinstance(value, str) and value.isdecimal() else value

    @model_validator(mode="after")
    def _consistent(self) -> Images:
        for name in ("mean", "std"):
            if len(getattr(self, name)) != self.channels:
                raise ValueError(
                    f"{name} has {len(getattr(self, name))} values, expected one per "
                    f"channel ({self.channels})"
                )
        if self.source == "digits" and (self.size, self.channels) != (8, 1):
            raise ValueError("source digits has 8x8 grey images: size must be 8 and channels 1")
        if self.source == "cifar10" and (self.size, self.channels) != (32, 3):
            raise ValueError("source cifar10 has 32x32 colour images: size must be 32, channels 3")
        if self.source == "tiny_imagenet" and (self.size, self.channels) != (64, 3):
            raise ValueError(
                "source tiny_imagenet has 64x64 colour images: size must be 64, channels 3"
            )
        if self.source != "digits" and not (self.path or self.url):
            raise ValueError(f"source {self.source} needs a path or a url")
        if self.source == "folder" and self.url:
            raise ValueError("source folder takes a path, not a url")
        if self.url and not self.sha256:
            raise ValueError("url needs sha256, so that what was downloaded can be checked")
        return self


class Shapes(Block):
    """Shapes as closed meshes, and where their signed distances are sampled."""

    kind: Literal["shapes"] = Field("shapes", description="shapes as closed meshes")
    source: str = Field(
        "procedural",
        min_length=1,
        description="`procedural`: chairs made by the study; or the path of a folder or archive "
        "of meshes (PLY, OBJ, OFF, STL)",
    )
    samples: int = Field(
        20000,
        ge=2,
        multiple_of=2,
        description="points of a shape whose signed distances its field is trained on; even",
    )
    near: Annotated[float, Field(gt=0, le=1)] = Field(
        0.8, description="share of them near the surface, on several scales"
    )
    uniform: Count = Field(
        20000, description="further points, evenly in the cube, that fields are judged by"
    )


Data = by_kind(Images, Shapes)
