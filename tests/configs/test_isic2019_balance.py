"""Every strategy changes what its line says and nothing else; all make as many steps."""

from __future__ import annotations

import pytest

from configs import strategies
from configs.isic2019_balance import get_config, get_sweep
from data_builders.errors import UserError
from lesionjax import config as config_lib
from lesionjax.models.heads import HEADS
from lesionjax.runs.phases import phases_of

CHANGED = {
  'none': {},
  'undersample': {'data.sampling': 'undersample'},
  'oversample': {'data.sampling': 'oversample'},
  'class_aware': {'data.sampling': 'balanced'},
  'sqrt': {'data.sampling': 'sqrt'},
  'class_weights': {'train.class_weights': 'balanced'},
  'effective_number': {'train.class_weights': 'effective'},
  'focal': {'train.loss': 'focal'},
  'logit_adjusted': {'train.loss': 'logit_adjusted'},
  'ldam_drw': {
    'train.loss': 'ldam',
    'model.arguments.head': 'cosine',
    'select.phase': 'last',
  },
  'crt': {'select.phase': 'last'},
  'smote': {'select.phase': 'last'},
  'adasyn': {'select.phase': 'last'},
  'smote_pixels': {'data.resample': 'smote', 'data.resample_space': 'pixels'},
  'cgan': {'data.synthetic': 'IMAGES'},
}
LAST = {
  'ldam_drw': {
    'train.class_weights': 'effective',
    'train.effective_beta': 0.9999,  # of LDAM's text
    'train.loss': 'ldam',
  },
  'crt': {'data.sampling': 'balanced'},
  'smote': {'data.resample': 'smote'},
  'adasyn': {'data.resample': 'adasyn'},
}


def flat(config):
  return dict(config_lib.flatten(config))


def different(config, beside, free=()):
  one, other = flat(config), flat(beside)
  return {
    key: one.get(key) for key in sorted({*one, *other} - {*free}) if one.get(key) != other.get(key)
  }


def needs(strategy):
  return ',synthetic=IMAGES' if strategy == 'cgan' else ''


def epochs_of(config):
  return [phase.config.train.epochs for phase in phases_of(config)]


def test_the_strategies_are_those_of_the_table():
  assert {*CHANGED} == {*strategies.NAMES}


@pytest.mark.parametrize('arm', ['two_phase', 'direct'])
@pytest.mark.parametrize('strategy', CHANGED)
def test_a_strategy_changes_its_keys_and_makes_as_many_steps(strategy, arm):
  config = get_config(f'strategy={strategy},arm={arm},steps=equal{needs(strategy)}')
  beside = get_config(f'arm={arm},steps=equal')
  config_lib.validate(config)
  free = ('phases', 'train.epochs', 'evaluate.colour_baseline')
  assert different(config, beside, free) == CHANGED[strategy]
  assert sum(epochs_of(config)) == sum(epochs_of(beside)) == 30
  assert {phase.config.select.patience_epochs for phase in phases_of(config)} == {0}
  assert {phase.config.train.batch_size for phase in phases_of(config)} == {64}
  last = phases_of(config)[-1]
  if strategy not in LAST:
    assert config.phases == beside.phases
    return
  assert epochs_of(config)[-1] == 6
  values = flat(last.config)
  for key, value in LAST[strategy].items():
    assert values[key] == value
  # A new head on stored features, or the whole network going on at a lower rate.
  anew = strategy != 'ldam_drw'
  assert (last.trainable == 'head', last.cache_features, last.reinit_head) == (anew,) * 3
  assert last.config.optimiser.learning_rate == (1e-2 if anew else 1e-5)
  for phase in phases_of(config)[:-1]:
    assert not {*LAST[strategy].items()} - {('train.loss', 'ldam')} & {*flat(phase.config).items()}


@pytest.mark.parametrize('strategy', CHANGED)
def test_the_head_of_the_text_learns_from_stored_features_with_every_strategy(strategy):
  config = get_config(f'strategy={strategy},arm=head,weights=random{needs(strategy)}')
  assert sum(epochs_of(config)) == 50
  for phase in phases_of(config):
    assert (phase.trainable, phase.cache_features) == ('head', True)
    assert (phase.config.train.batch_size, phase.config.optimiser.name) == (256, 'adam')
  first = phases_of(config)[0].config
  assert first.optimiser.learning_rate == 1e-3
  head = config.model.arguments.head
  assert HEADS[head] == ((512, 0.3), (256, 0.2))
  assert head.endswith('cosine') == (strategy == 'ldam_drw')
  if strategy in ('crt', 'smote', 'adasyn'):
    assert len(phases_of(config)) == 1
    assert config.select.phase == 'any'  # which is that one
    assert LAST[strategy].items() <= flat(first).items()


def test_the_text_s_smote_starts_from_a_run():
  config = get_config('strategy=smote,arm=head,weights=run,protocol=published,data=ham10000')
  assert config.init_head == 'reinit'
  assert (config.data.resample_neighbours, config.data.resample_space) == (5, 'features')


def test_without_a_strategy_nothing_has_changed():
  config = get_config()
  assert (config.select.metric, config.select.patience_epochs) == ('loss', 10)
  assert config.evaluate.colour_baseline
  assert different(config, get_config('strategy=none,seed=0,steps=text')) == {}


def test_what_a_sweep_is_given_is_an_argument_of_a_run_too():
  # The flag of a sweep is read as that of one run before it is a sweep's.
  argument = 'data=ham10000,size=64,weights=random,epochs=10,arm=direct,synthetic=IMAGES'
  assert different(get_config(argument), get_config(f'strategy=cgan,{argument}')) == {}


def test_the_sweep_makes_every_strategy_with_three_seeds():
  runs = get_sweep('data=ham10000,size=64,weights=random,epochs=10,arm=direct,synthetic=IMAGES')
  assert [*runs][:4] == ['none_seed0', 'none_seed1', 'none_seed2', 'undersample_seed0']
  assert len(runs) == 3 * len(CHANGED)
  configs = {name: get_config(argument) for name, argument in runs.items()}
  assert {sum(epochs_of(config)) for config in configs.values()} == {10}
  assert {config.data.size_px for config in configs.values()} == {64}
  assert {config.select.metric for config in configs.values()} == {'balanced_accuracy'}
  assert configs['smote_seed1'].seed == 1
  assert configs['focal_seed2'].train.loss == 'focal'
  made = [name for name, c in configs.items() if c.data.synthetic]
  assert made == ['cgan_seed0', 'cgan_seed1', 'cgan_seed2']
  baselines = [name for name, c in configs.items() if c.evaluate.colour_baseline]
  assert baselines == ['none_seed0']
  assert get_config(get_sweep('steps=text')['none_seed0']).select.metric == 'loss'


def test_the_sweep_of_the_head_says_the_same_thing_once():
  runs = get_sweep('arm=head,weights=run')
  assert 'crt_seed0' in runs
  assert 'class_aware_seed0' not in runs
  assert 'cgan_seed0' not in runs  # nobody said which images
  assert 'smote_pixels_seed0' not in runs  # at 256 px they do not fit into memory
  for argument in runs.values():
    get_config(argument)


@pytest.mark.parametrize(
  ('argument', 'sentence'),
  [
    ('strategy=rose', 'strategy=rose is not one of none, undersample'),
    ('strategy=crt,epochs=2', 'strategy=crt at its end one more'),
    ('strategy=smote,arm=direct,epochs=1', 'strategy=smote takes two epochs or more'),
    ('strategy=cgan', r'strategy=cgan and synthetic=DIR, .* go together: give both or neither'),
    ('strategy=smote,synthetic=X', 'go together: give both or neither'),
    ('arm=head,steps=equal', 'steps=equal has no effect with arm=head'),
  ],
)
def test_what_does_not_go_together_is_told(argument, sentence):
  with pytest.raises(UserError, match=sentence):
    get_config(argument)


def test_the_sweep_varies_strategy_and_seed_itself():
  with pytest.raises(UserError, match='strategy=none'):
    get_sweep('strategy=none')
