"""The rows of the ablation are those of the text, and the sweep makes them all."""

from __future__ import annotations

import pytest

from configs import two_stage_melanoma
from configs.two_stage_melanoma import get_config, get_sweep
from data_builders.configs import parse
from data_builders.errors import UserError
from lesionjax import config as config_lib
from lesionjax.runs.assembly import make_model, make_task
from lesionjax.runs.phases import phases_of, trainable_paths
from lesionjax.training.loop import Plan
from lesionjax.training.progress import Rules

# What row 4 (and row 3, which sees whole images) has, and each other row changes.
COMMON = {
  'model.name': 'densenet121',
  'train.epochs': 15,
  'optimiser.name': 'adam',
  'optimiser.learning_rate': 1e-3,
  'optimiser.weight_decay': 0.0,
  'data.size_px': 224,
  'data.sampling': 'balanced',
  'train.loss': 'cross_entropy',
  'train.pos_weight': 1.0,
  'select.metric': 'balanced_accuracy',
  'model.pretrained': 'imagenet',
}
CHANGED = {
  5: {'model.arguments.head': 'mlp_1024'},
  7: {
    'augment.rotation_deg': 90.0,
    'augment.flip_horizontal': True,
    'augment.flip_vertical': True,
    'augment.scale': (0.8, 1.2),
    'augment.shear_deg': 20.0,
    'augment.border': 'constant',
  },
  8: {'optimiser.learning_rate': 1e-2},
  9: {'optimiser.learning_rate': 1e-2},
  10: {'optimiser.weight_decay': 1e-3},
  11: {'train.loss': 'bce', 'train.pos_weight': 2.0},
  12: {'model.name': 'efficientnet_b0'},
  13: {'train.loss': 'bce', 'train.pos_weight': 32120 / 581, 'data.sampling': 'uniform'},
}
PARTS = {1: 'head', 2: 'head', 9: 'head', 6: 'last_block'}
ORIGINAL = (1, 3, 12)


def flat(argument):
  config = get_config(argument)
  return dict(config_lib.flatten(config)), config


@pytest.mark.parametrize('row', two_stage_melanoma.ROWS)
def test_a_row_changes_what_its_text_says_and_nothing_else(row):
  values, config = flat(f'row={row}')
  config_lib.validate(config)
  beside, _ = flat('row=3' if row in ORIGINAL else 'row=4')
  expected = CHANGED.get(row, {})
  for key, value in {**COMMON, **expected}.items():
    assert values[key] == value, key
  free = {'phases', 'evaluate.colour_baseline', 'model.arguments', *expected}
  assert {key for key in {*values, *beside} if values.get(key) != beside.get(key)} <= free
  assert values['data.lesion'] == ('none' if row in ORIGINAL else 'mask_crop')
  (phase,) = phases_of(config)
  assert phase.trainable == PARTS.get(row, 'all')
  assert phase.cache_features == (phase.trainable == 'head')


@pytest.mark.parametrize('argument', ['row=1', 'row=5', 'row=6', 'row=12,weights=random', 'row=13'])
def test_a_row_can_be_built(argument):
  config = get_config(f'{argument},size=64,data=isic2019')
  model = make_model(config, 2)
  plan = Plan(2, 4, 8, 1, 0, Rules(config.select.metric), ('other', 'mel'))
  (phase,) = phases_of(config)
  paths = trainable_paths(phase, model)
  make_task(phase, 2, plan, paths)
  if argument == 'row=1':
    assert paths == {'head/kernel', 'head/bias'}
  if argument == 'row=6':
    assert paths is not None
    assert {path.split('/')[0].split('_')[0] for path in paths} == {'block4', 'top', 'head'}


def test_the_images_of_both_protocols():
  def name(argument):
    config = get_config(argument)
    parse(config.data.name.partition('/')[2])
    return config.data.name

  assert name('row=3') == name('row=4') == 'isic2020/grouped'
  # Only whole images go through 640x480: masks lie on the pixels as they were published.
  assert name('row=3,protocol=published') == 'isic2020/random-vga224'
  assert name('row=4,protocol=published') == 'isic2020/random'
  config = get_config('row=13,data=isic2019')
  assert (config.data.name, config.data.classes) == ('isic2019/grouped', 'melanoma')
  assert config.train.pos_weight == pytest.approx((25331 - 4522) / 4522)
  assert get_config('').data.lesion_margin == 0  # as in the text
  assert get_config('margin=0.25').data.lesion_margin == 0.25


def test_other_skins_are_seen_around_the_lesion():
  for row, lesion in ((3, 'none'), (4, 'crop')):
    config = get_config(f'row={row},background=tones,data=isic2019')
    config_lib.validate(config)
    assert (config.data.background, config.data.lesion) == ('tones', lesion)
    published = get_config(f'row={row},background=tones,protocol=published')
    assert published.data.name == 'isic2020/random'
  assert get_config('').data.background == 'none'
  assert {get_config(a).data.background for a in get_sweep('background=tones').values()} == {
    'tones'
  }


def test_the_sweep_makes_every_row_and_every_margin():
  runs = get_sweep('size=64,weights=random')
  assert [*runs] == [f'row{row}' for row in range(1, 14)] + [
    'row4_margin10', 'row4_margin25', 'row4_margin50',
  ]  # fmt: skip
  configs = {name: get_config(argument) for name, argument in runs.items()}
  assert {config.data.size_px for config in configs.values()} == {64}
  assert configs['row11'].train.pos_weight == 2
  assert configs['row4_margin25'].data.lesion_margin == 0.25
  seen = [config_lib.to_dict(config) for config in configs.values()]
  assert all(seen.count(each) == 1 for each in seen)
  # A run to start from has one network: not that of row 12.
  assert 'row12' not in get_sweep('weights=run')


@pytest.mark.parametrize(
  ('call', 'argument', 'sentence'),
  [
    (get_config, 'row=14', r'row=14 must be of type int, from 1 to 13'),
    (get_config, 'row=4.5', r'row=4\.5 must be of type int'),
    (get_config, 'margin=-0.1', r'margin=-0\.1 must be of type float, from 0 to 2'),
    (get_config, 'margin=nan', 'margin=nan must be'),
    (get_config, 'row=3,margin=0.1', 'row 3 sees the whole image, where margin has no effect'),
    (get_sweep, 'row=3', r"'row=3' is not KEY=VALUE with a key among protocol, data"),
    (get_sweep, 'size=0', 'size=0 must be a positive int'),
  ],
)
def test_mistakes_are_told(call, argument, sentence):
  with pytest.raises(UserError, match=sentence):
    call(argument)
