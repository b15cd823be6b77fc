"""What clouds give instead of a key: signatures and access tokens, by their vendors' own libraries.

Those libraries are optional extras and imported when a request first needs them. They look where every program of that
cloud looks (variables, files, metadata services of the machine), which may block: always in a thread.
"""

from pi_model_proxy.sources.cloud.clouds import Asked, Clouds, Given
from pi_model_proxy.sources.cloud.extras import missing_extra

__all__ = ["Asked", "Clouds", "Given", "missing_extra"]
