"""A scripted upstream to rehearse clients and faults with: no model, no login, no cost.

It speaks three formats over real HTTP on loopback and shares no code with the codecs, so a request
to `demo/...` takes the whole way that a request to any provider takes.
"""

from pi_model_proxy.demo.models import PROVIDER, demo_models
from pi_model_proxy.demo.source import DemoSource, open_demo
from pi_model_proxy.demo.upstream import DemoUpstream

__all__ = ["PROVIDER", "DemoSource", "DemoUpstream", "demo_models", "open_demo"]
