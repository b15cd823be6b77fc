"""A local gateway that serves every model pi can use as OpenAI- and Anthropic-compatible endpoints.

Importing this package has no effect: no thread, no file, no environment variable is touched.
"""

__version__ = "0.1.0"

__all__ = ["__version__"]
