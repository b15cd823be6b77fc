"""HTTP in, HTTP out: the application, our HTTP/1.1 server, the process around it."""

from pi_model_proxy.server.app import App
from pi_model_proxy.server.build import create_app
from pi_model_proxy.server.run import Announcement
from pi_model_proxy.server.start import serve

__all__ = ["Announcement", "App", "create_app", "serve"]
