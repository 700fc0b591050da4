"""The models that can be trained."""

from src.training.ctsdg import CTSDGTraining
from src.training.model import ModelTraining

TRAININGS: dict[str, type[ModelTraining]] = {training.MODEL: training for training in (CTSDGTraining,)}
