"""The page a browser sees at `/`: static, without script, without anything secret."""

from __future__ import annotations

from typing import Final

__all__ = ["PAGE"]

PAGE: Final = b"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>pi-model-proxy</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body{font:16px/1.5 system-ui,sans-serif;max-width:44rem;margin:3rem auto;padding:0 1rem;color:#222;background:#fff}
code,pre{font:14px/1.5 ui-monospace,monospace;background:#f3f3f3;border-radius:4px}
code{padding:.1em .3em}pre{padding:.8em;overflow:auto}
@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}code,pre{background:#262626}}
</style></head><body>
<h1>pi-model-proxy is running</h1>
<p>Every model that pi can use, behind OpenAI- and Anthropic-compatible endpoints.</p>
<table>
<tr><td>OpenAI base URL</td><td><code>http://127.0.0.1:9876/v1</code></td></tr>
<tr><td>Anthropic base URL</td><td><code>http://127.0.0.1:9876</code></td></tr>
</table>
<p>(With the port you started it on.) What can be used right now:</p>
<pre>curl http://127.0.0.1:9876/v1/models
pi-model-proxy models
pi-model-proxy status</pre>
</body></html>
"""
