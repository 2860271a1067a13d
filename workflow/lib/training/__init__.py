"""Training many instances of one architecture at once, each as if it were trained alone."""

from lib.training.backend import Backend, Engine, EpochPlan, Rates
from lib.training.loop import TrainedStack, train

__all__ = ["Backend", "Engine", "EpochPlan", "Rates", "TrainedStack", "train"]
