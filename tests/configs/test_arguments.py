"""What stands behind the colon of --config."""

import pytest

from configs import arguments, ham_adasyn, isic2019_balance
from data_builders.errors import UserError

ALLOWED = {'protocol': ('rigorous', 'published'), 'size': 96, 'rate': 0.5, 'wide': (False, True)}
BETWEEN = {'row': arguments.Between(4, 1, 13), 'margin': arguments.Between(0.0, 0, 2)}


def test_defaults_and_types():
  assert arguments.parse('r', '', ALLOWED) == {
    'protocol': 'rigorous', 'size': 96, 'rate': 0.5, 'wide': False,
  }  # fmt: skip
  found = arguments.parse('r', 'size=64, rate=2,protocol=published,wide=True', ALLOWED)
  assert found == {'protocol': 'published', 'size': 64, 'rate': 2.0, 'wide': True}


@pytest.mark.parametrize(
  ('argument', 'sentence'),
  [
    ('siz=64', r"configs/r\.py:siz=64: 'siz=64' is not .* did you mean size\?"),
    ('published', r"'published' is not KEY=VALUE"),
    ('size', "'size' is not KEY=VALUE"),
    ('size=64,size=32', 'gives size twice'),
    ('size=0', 'size=0 must be a positive int'),
    ('size=6.5', 'size=6.5 must be a positive int'),
    ('rate=nan', 'rate=nan must be a positive float'),
    ('rate=inf', 'rate=inf must be a positive float'),
    ('protocol=both', 'protocol=both is not one of rigorous, published'),
  ],
)
def test_mistakes_are_told(argument, sentence):
  with pytest.raises(UserError, match=sentence):
    arguments.parse('r', argument, ALLOWED)


def test_numbers_between_two_others():
  assert arguments.parse('r', '', BETWEEN) == {'row': 4, 'margin': 0.0}
  assert arguments.parse('r', 'row=13,margin=0', BETWEEN) == {'row': 13, 'margin': 0.0}
  for wrong in ('row=0', 'row=14', 'row=2.5', 'row=', 'margin=2.1', 'margin=nan'):
    with pytest.raises(UserError, match=r'must be of type (int, from 1 to 13|float, from 0 to 2)'):
      arguments.parse('r', wrong, BETWEEN)


def test_names_say_split_and_cleaning():
  name = isic2019_balance.get_config('protocol=published,cleaning=hair').data.name
  assert name == 'isic2019/random-stretch256-hair17'
  assert isic2019_balance.get_config('cleaning=none').data.name == 'isic2019/grouped-stretch256'
  published = ham_adasyn.get_config('protocol=published').data
  assert (published.name, published.train_split) == ('ham10000/random', 'train+validation')
