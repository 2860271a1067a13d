"""Training many instances of one architecture at once, each as if it were trained alone."""

from lib.engine.training.backend import Backend, Engine, EpochPlan, Rates
from lib.engine.training.loop import TrainedStack, train

__all__ = ["Backend", "Engine", "EpochPlan", "Rates", "TrainedStack", "train"]
