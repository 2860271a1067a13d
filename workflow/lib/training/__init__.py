"""Training many instances of one architecture at once, each as if it were trained alone."""

from lib.training.backend import Backend, EpochPlan, Rates, backend
from lib.training.loop import TrainedStack, train

__all__ = ["Backend", "EpochPlan", "Rates", "TrainedStack", "backend", "train"]
