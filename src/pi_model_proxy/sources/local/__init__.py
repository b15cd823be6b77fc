"""Model servers of this machine, found where they usually listen."""

from pi_model_proxy.sources.local.servers import SERVERS, LocalServer
from pi_model_proxy.sources.local.source import LocalServers, LocalSettings

__all__ = ["SERVERS", "LocalServer", "LocalServers", "LocalSettings"]
