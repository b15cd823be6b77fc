"""Where models and their credentials come from; pi's files are the first source."""

from pi_model_proxy.sources.base import Lease, ModelSource, Offer, Problem, ProviderReport, Snapshot
from pi_model_proxy.sources.pi_files import PiFiles, PiFilesSettings

__all__ = [
    "Lease",
    "ModelSource",
    "Offer",
    "PiFiles",
    "PiFilesSettings",
    "Problem",
    "ProviderReport",
    "Snapshot",
]
