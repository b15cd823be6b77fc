"""Amazon Bedrock's Converse format, towards upstreams: `POST {base}/model/{id}/converse-stream`, always streamed.

What a request must carry to be accepted is not here: signing is the business of whoever sends it. For
that it matters that the path is sent exactly as `Outgoing.path` has it (`:` and `/` of the id are
percent-encoded; Signature Version 4 encodes the path once more for its canonical request), and that
every header that is sent counts as signed or not as Amazon's rules say.
"""

from pi_model_proxy.dialects.bedrock_converse.client import CLIENT, ConverseClient
from pi_model_proxy.dialects.bedrock_converse.decoder import ConverseDecoder

__all__ = ["CLIENT", "ConverseClient", "ConverseDecoder"]
