"""The quickstart: synthetic dermoscopy, the three-block CNN at 64x64.

Command: make quickstart
  or: python main.py --config=configs/quickstart.py --workdir=runs/quickstart
"""

from __future__ import annotations

from ml_collections import ConfigDict

from configs import base


def get_config() -> ConfigDict:
  config = base.get_config()
  config.recipe = 'quickstart'
  config.data.data_dir = 'data'
  return config
