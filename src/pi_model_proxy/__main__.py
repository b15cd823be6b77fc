"""`python -m pi_model_proxy` is `pi-model-proxy`."""

import sys

from pi_model_proxy.cli import main

sys.exit(main())
