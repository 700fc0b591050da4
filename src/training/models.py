"""The models that can be trained."""

from src.training.ctsdg import CTSDGTraining
from src.training.dgts import DGTSTraining
from src.training.model import ModelTraining
from src.training.upsampler import UpsamplerTraining

TRAININGS: dict[str, type[ModelTraining]] = {
    training.MODEL: training for training in (CTSDGTraining, DGTSTraining, UpsamplerTraining)
}
