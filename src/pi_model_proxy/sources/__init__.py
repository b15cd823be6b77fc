"""Where models and their credentials come from; pi's files are the first source."""

from pi_model_proxy.sources.account_view import AccountView, Place, view_accounts
from pi_model_proxy.sources.base import Lease, ModelSource, Offer, Problem, ProviderReport, Signer, Snapshot
from pi_model_proxy.sources.fetching import CatalogFetcher, PiSide, fetch_with
from pi_model_proxy.sources.local import LocalServers, LocalSettings
from pi_model_proxy.sources.pi_files import PiFiles, PiFilesSettings
from pi_model_proxy.sources.pi_snapshot import NOT_RENEWED
from pi_model_proxy.sources.pi_state import PiFilesReader, PiState

__all__ = [
    "NOT_RENEWED",
    "AccountView",
    "CatalogFetcher",
    "Lease",
    "LocalServers",
    "LocalSettings",
    "ModelSource",
    "Offer",
    "PiFiles",
    "PiFilesReader",
    "PiFilesSettings",
    "PiSide",
    "PiState",
    "Place",
    "Problem",
    "ProviderReport",
    "Signer",
    "Snapshot",
    "fetch_with",
    "view_accounts",
]
