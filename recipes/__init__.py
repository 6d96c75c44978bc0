"""hackable single files, one per backend, method and scale"""

import logging

# It warns of kernels that nothing here uses, on every import, in every job's log.
logging.getLogger("torchao").setLevel(logging.ERROR)
