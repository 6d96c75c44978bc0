"""what a job may use on the node: config, device, metrics, checkpoints, signals, inspect's model provider"""

import logging

# It warns of kernels that nothing here uses, on every import, in every job's log.
logging.getLogger("torchao").setLevel(logging.ERROR)
