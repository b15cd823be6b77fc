"""HTTP in, HTTP out: the ASGI application and the process around it."""

from pi_model_proxy.server.app import App
from pi_model_proxy.server.build import create_app
from pi_model_proxy.server.run import Announcement, serve

__all__ = ["Announcement", "App", "create_app", "serve"]
