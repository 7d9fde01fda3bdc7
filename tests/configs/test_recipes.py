"""Every recipe is a complete, allowed configuration, and says what its text says."""

import pathlib

import pytest

from configs import (
  ham_adasyn,
  ham_binary,
  ham_resnet,
  ham_resnet18_head,
  isic2019_balance,
  isic2019_scratch,
  lesion_gan,
  lesion_masks,
  quickstart,
  two_stage_melanoma,
)
from data_builders.configs import parse
from data_builders.errors import UserError
from lesionjax import config as config_lib
from lesionjax.runs.assembly import make_model, make_task
from lesionjax.runs.phases import phases_of, trainable_paths
from lesionjax.training.loop import Plan
from lesionjax.training.progress import Rules

RECIPES = {
  module.__name__.rpartition('.')[2]: module
  for module in (
    ham_adasyn, ham_binary, ham_resnet, ham_resnet18_head, isic2019_balance, isic2019_scratch,
    lesion_gan, lesion_masks, quickstart, two_stage_melanoma,
  )
}  # fmt: skip
RUNS = [
  ('quickstart', None),
  ('ham_resnet', 'balanced'),
  ('ham_adasyn', ''),
  ('ham_adasyn', 'model=vgg16,protocol=published'),
  ('ham_adasyn', 'model=resnet50,train=all,weights=random,epochs=3'),
  ('ham_binary', 'loss=bce,hair=remove,weights=random'),
  ('ham_resnet18_head', ''),
  ('ham_resnet18_head', 'train=last_block,protocol=published'),
  ('ham_resnet18_head', 'train=full,weights=random'),
  ('isic2019_balance', ''),
  ('isic2019_balance', 'arm=direct,weights=random,cleaning=none,data=ham10000'),
  ('isic2019_balance', 'strategy=ldam_drw,arm=head,weights=random'),
  ('isic2019_balance', 'strategy=crt,steps=equal,seed=2'),
  ('isic2019_scratch', 'protocol=published,size=128,model=efficientnet_b0'),
  ('lesion_gan', ''),
  ('lesion_gan', 'model=published,protocol=published,epochs=2'),
  ('lesion_gan', 'data=isic2019,size=128,judge=kid'),
  ('lesion_masks', ''),
  ('lesion_masks', 'model=bcdunet,data=ham10000,size=64'),
  ('lesion_masks', 'model=unet_encoder,encoder=densenet121'),
]


def config_of(recipe, argument):
  module = RECIPES[recipe]
  return module.get_config() if argument is None else module.get_config(argument)


def test_all_recipes_are_looked_at():
  files = {path.stem for path in pathlib.Path('configs').glob('*.py')}
  assert {*RECIPES} == files - {'__init__', 'arguments', 'base', 'strategies'}


@pytest.mark.parametrize(('recipe', 'argument'), RUNS)
def test_a_recipe_is_a_complete_configuration(recipe, argument):
  config = config_of(recipe, argument)
  config_lib.validate(config)
  assert config.recipe == recipe
  for name in config.data.name.split(','):
    parse(name.partition('/')[2] or 'grouped')
  model = make_model(config, 2)
  names = ('benign', 'malignant')
  plan = Plan(2, 4, 8, 1, 0, Rules(config.select.metric), names, class_counts=(5, 3))
  for phase in phases_of(config):
    make_task(phase, 2, plan, trainable_paths(phase, model))


def test_two_phases_as_in_the_text():
  head, whole = phases_of(isic2019_balance.get_config())
  assert (head.config.train.epochs, whole.config.train.epochs) == (20, 10)
  assert (head.trainable, whole.trainable) == ('head', 'all')
  assert head.config.optimiser.learning_rate == 1e-2
  assert whole.config.optimiser.learning_rate == 1e-4
  assert whole.config.schedule.plateau_factor == 0.5
  assert whole.config.select.patience_epochs == 10


def test_the_published_gan_as_in_the_text():
  config = lesion_gan.get_config('model=published')
  assert (config.gan.loss, config.gan.latent, config.data.size_px) == ('bce', 128, 64)
  assert config.optimiser.learning_rate == config.gan.discriminator_learning_rate == 1e-4
  assert (config.optimiser.name, config.optimiser.beta1) == ('adam', 0.5)
  assert (config.data.sampling, config.train.ema_decay, tuple(config.gan.augment)) == (
    'uniform', 0.0, ()
  )  # fmt: skip
  assert lesion_gan.get_config().data.sampling == 'balanced'


@pytest.mark.parametrize('protocol', ['rigorous', 'published'])
@pytest.mark.parametrize('cleaning', ['hair-clahe', 'hair', 'none', ''])
def test_generator_and_classifier_see_the_same_images(protocol, cleaning):
  argument = f'data=ham10000,protocol={protocol}' + (f',cleaning={cleaning}' if cleaning else '')
  made, seen = (recipe.get_config(argument) for recipe in (lesion_gan, isic2019_balance))
  assert made.data.name == seen.data.name


def test_the_published_head_lets_batch_statistics_drift():
  (published,) = phases_of(ham_resnet18_head.get_config('protocol=published'))
  (rigorous,) = phases_of(ham_resnet18_head.get_config())
  assert not published.freeze_batch_stats
  assert rigorous.freeze_batch_stats


def test_adasyn_where_the_text_has_it_and_where_it_belongs():
  def data(argument):
    config = ham_adasyn.get_config(argument)
    config_lib.validate(config)
    return [
      (p.config.data.sampling, p.config.data.resample, p.config.data.resample_space, p.reinit_head)
      for p in phases_of(config)
    ]

  pixels = ('uniform', 'adasyn', 'pixels', False)
  assert data('protocol=published') == data('protocol=published,model=vgg16') == [pixels]
  assert data('') == data('model=vgg16') == [('balanced', 'none', 'features', False)]
  assert data('model=vgg16,balance=adasyn') == [('uniform', 'adasyn', 'features', False)]
  plain, anew = ('uniform', 'none', 'features', False), ('uniform', 'adasyn', 'features', True)
  assert data('balance=adasyn') == [plain, anew]
  phases = phases_of(ham_adasyn.get_config('balance=adasyn'))
  assert [phase.config.train.epochs for phase in phases] == [20, 5]
  assert phases[-1].config.optimiser.learning_rate == 1e-3


def test_a_run_to_start_from_must_be_named():
  with pytest.raises(UserError, match=r'config\.init_from'):
    config_lib.validate(ham_resnet18_head.get_config('weights=run'))


@pytest.mark.parametrize(
  ('recipe', 'argument', 'sentence'),
  [
    ('ham_adasyn', 'model=cnn,weights=run', 'train and weights have no effect with model=cnn'),
    ('ham_adasyn', 'balance=adasyn,epochs=1', 'takes two epochs or more'),
    ('isic2019_balance', 'epochs=1', 'two phases take two epochs'),
    (
      'lesion_masks',
      'encoder=densenet121',
      r'no effect with model=unet: .* take model=unet_encoder',
    ),
    ('lesion_masks', 'model=unet_encoder,width=8', 'width has no effect with model=unet_encoder'),
    ('lesion_masks', 'deep_supervision=True', 'deep_supervision .* or take model=unetpp'),
    ('lesion_masks', 'model=unetpp,dense_blocks=1', 'dense_blocks .* or take model=bcdunet'),
    ('lesion_masks', 'bconvlstm_at=skips', 'bconvlstm_at .* or take model=bcdunet'),
    (
      'lesion_masks',
      'model=unet_encoder,encoder=vit_s16',
      'encoder=vit_s16 is not one of resnet34',
    ),
    ('lesion_masks', 'weights=imagenet', 'weights=imagenet are of classifiers: .*unet_encoder'),
    ('lesion_masks', 'levels=9', 'levels=9 must be of type int, from 2 to 8'),
    ('quickstart', 'size=3', r'configs/quickstart\.py:size=3: the recipe takes no argument'),
  ],
)
def test_arguments_without_effect_are_refused(recipe, argument, sentence):
  with pytest.raises(UserError, match=sentence):
    config_of(recipe, argument)


def test_bce_is_for_two_classes():
  config = ham_binary.get_config('loss=bce,weights=random')
  plan = Plan(2, 4, 8, 1, 0, Rules('loss'), ('a', 'b', 'c'))
  with pytest.raises(UserError, match='takes two classes, not 3'):
    make_task(phases_of(config)[0], 3, plan)


@pytest.mark.parametrize(
  ('key', 'value', 'sentence'),
  [
    ('loss', 'mse', r"config\.train\.loss='mse' is not one of 'cross_entropy', 'bce'"),
    ('pos_weight', 0.0, r'config\.train\.pos_weight=0\.0 must be'),
    ('pos_weight', 2.0, r"pos_weight=2\.0 has no effect with config\.train\.loss='cross_entropy'"),
  ],
)
def test_settings_of_the_loss(key, value, sentence):
  config = quickstart.get_config()
  config.train[key] = value
  with pytest.raises(UserError, match=sentence):
    config_lib.validate(config)
  config = ham_binary.get_config('loss=bce,weights=random')
  config.train.label_smoothing = 0.1
  with pytest.raises(UserError, match=r'label_smoothing=0\.1 has no effect'):
    config_lib.validate(config)


def test_arguments_of_a_segmenter_reach_it():
  for argument, expected in (
    ('', {'width': 16}),
    ('width=8,levels=5', {'width': 8, 'levels': 5}),
    ('model=unetpp,deep_supervision=True', {'width': 16, 'deep_supervision': True}),
    (
      'model=bcdunet,bconvlstm_at=bottleneck,dense_blocks=1',
      {'width': 16, 'bconvlstm_at': 'bottleneck', 'dense_blocks': 1},
    ),
    ('model=unet_encoder', {}),
    ('model=unet_encoder,encoder=efficientnet_b0', {'encoder': 'efficientnet_b0'}),
  ):
    config = lesion_masks.get_config(argument)
    assert config.model.arguments.to_dict() == expected
    make_model(config, 1)


def test_weights_are_those_of_the_encoder():
  config = lesion_masks.get_config('model=unet_encoder,encoder=densenet121,weights=imagenet')
  assert config.model.pretrained == 'imagenet'
  assert not lesion_masks.get_config('model=unet_encoder').model.pretrained
