"""The retail inventory and demand-forecasting lakehouse.

Threads of LightGBM that have nothing to do shall sleep, not spin: on two cores with other work a training took more
than nine minutes instead of one. OpenMP reads this when its library is loaded, so it stands before every import.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
