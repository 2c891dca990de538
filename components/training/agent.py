"""`torchrun`, except that it dies with the process that launched it, so that no orphan trains on.

python -m flywheel.components.training.agent <arguments of torchrun>
"""

import os

from torch.distributed.run import main

from flywheel.components.deployment.parent_death import die_with_parent
from flywheel.components.training.process_environment import LAUNCHER

if __name__ == "__main__":
    die_with_parent(int(os.environ[LAUNCHER]))
    main()
