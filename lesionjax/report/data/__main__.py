"""`python -m lesionjax.report.data NAME[/CONFIG]` writes what a prepared data set looks like."""

from __future__ import annotations

import time

from absl import flags

from data_builders import DATASETS, command
from data_builders.errors import UserError

_DATA_DIR = flags.DEFINE_string('data_dir', 'data', 'Where data sets were prepared.')
_OUT = flags.DEFINE_string(
  'out', '', 'Directory for data.html and figures/, or an .html file; default: runs/data/NAME.'
)
_SAMPLE = flags.DEFINE_integer(
  'sample', 5000, 'Measure the pixels of at most so many images.', lower_bound=1
)


def main(argv: list[str]) -> None:
  """Writes the page and says where it is."""
  if len(argv) != 2:
    raise UserError(
      f'Expected the name of one data set, not {len(argv) - 1}: '
      f'python -m lesionjax.report.data NAME[/CONFIG], where NAME is one of {", ".join(DATASETS)}.'
    )
  from lesionjax.report.data.page import write_page  # after the flags: it loads TFDS

  name = argv[1]
  start = time.monotonic()
  out = _OUT.value or f'runs/data/{name.replace("/", "-")}'
  page = write_page(name, out, _DATA_DIR.value, _SAMPLE.value)
  print(f'{page} ({time.monotonic() - start:.1f} s)')


if __name__ == '__main__':
  command.run(main)
