"""Every key there is, its default, its unit. Recipes start from here and change what they must.

Override any key on the command line: `--config.optimiser.learning_rate=1e-3`. The config is locked:
a misspelt key stops the program before anything is written.
"""

from __future__ import annotations

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder


def get_config() -> ConfigDict:
  """Returns the complete configuration with neutral defaults.

  Returns:
    A locked ConfigDict; `config.unlocked()` is never needed, recipes assign to existing keys.
  """
  config = ConfigDict()
  config.task = 'classify'  # 'classify' or 'segment'
  config.recipe = ''  # name of the recipe, shown in the report
  config.protocol = 'rigorous'  # 'rigorous' or 'published' (see docs/results.md)
  config.seed = 0  # initial weights, data order and augmentation
  config.num_devices = 0  # devices of the `data` mesh over all processes; 0 = every one there is
  config.data = _data()
  config.augment = _augment()
  config.normalise = _normalise()
  config.model = _model()
  # A whole configuration with task='segment': it trains first, in this run's directory; its masks
  # are what data.lesion looks at with data.lesion_masks='stage'. None = one stage.
  config.segmenter = placeholder(ConfigDict)
  config.init_from = ''  # a run directory whose best weights this run starts from
  config.init_head = ''  # with init_from, say which: 'keep' or 'reinit' the classification head
  config.train = _train()
  # Training in phases: a tuple of dictionaries, in order; empty = one phase, of the keys outside.
  # What a phase does not say, the keys outside say. Its own keys:
  #   name                'phase1', ...; stands in every record of metrics.jsonl
  #   epochs              of this phase; absent = train.epochs
  #   trainable           'head', 'last_block' (and head; what that is: lesionjax/models/parts.py),
  #                       'all' (the default), or a tuple of regular expressions over whole paths
  #                       of parameters such as 'stage4_block1/conv1/kernel'
  #   frozen              a tuple of such expressions for what is frozen; absent = everything else
  #   freeze_batch_stats  True (the default): the frozen part runs in evaluation mode; False: only
  #                       its parameters are frozen, as with PyTorch's requires_grad=False
  #   cache_features      True: the frozen backbone runs once, the head trains on its features; not
  #                       with augmentation. False is the default
  #   start_from          'last' (the default) or 'best': the epoch, of all before this phase, whose
  #                       weights it starts from; where there is an average, the averaged ones
  #   optimiser, schedule, augment, select.patience_epochs, train.label_smoothing, train.clip_norm:
  #                       dictionaries of the keys that change, such as
  #                       'optimiser': {'learning_rate': 1e-2}
  # Optimiser, schedule, moving average, patience and plateau begin anew with every phase.
  config.phases = ()
  config.optimiser = _optimiser()
  config.schedule = _schedule()

  config.select = select = ConfigDict()
  # On validation; decides which checkpoint is best. To segment: 'dice', 'jaccard', 'loss' ...
  select.metric = 'balanced_accuracy'
  select.patience_epochs = 0  # stop after this many epochs without a better one; 0 = never

  config.checkpoint = checkpoint = ConfigDict()
  checkpoint.every_steps = 0  # beside the one at the end of every epoch; 0 = none beside it
  config.log = log = ConfigDict()
  log.every_steps = 20  # steps between two flushes of metrics.jsonl and progress lines

  config.evaluate = evaluate = ConfigDict()
  evaluate.batch_size = 128  # over all devices and processes
  evaluate.resamples = 1000  # of the bootstrap over lesions or patients
  evaluate.examples = 24  # images shown in the report
  evaluate.colour_baseline = True  # gradient boosting on colour statistics beside the network
  return config.lock()


def _data() -> ConfigDict:
  """What a run reads and how it is divided."""
  data = ConfigDict()
  # NAME or NAME/CONFIG of a prepared data set; a tuple or NAME,NAME pools several, no image twice.
  data.name = placeholder(object)
  data.name = 'synthetic_dermoscopy'
  # Map onto 'isic9' (with unk, which only official tests have), 'isic8', 'ham7' or 'binary'; '' =
  # the data set's own, of several the finest in common.
  data.classes = ''
  data.preprocess = ''  # such as 'crop256-hair', on every read: see data_builders.cleaning.pipeline
  data.data_dir = ''  # where prepared data lie; '' = TFDS_DATA_DIR or ~/tensorflow_datasets
  data.manual_dir = ''  # where downloaded archives lie; with it a missing data set is built first
  data.size_px = 64  # width of what the network sees, and its height unless that is given
  data.height_px = 0  # its height where it is no square; 0 = size_px
  # What a classifier sees where a mask says which pixels are lesion: 'none' (the whole image),
  # 'mask' (black outside), 'crop' (the rectangle around it), 'mask_crop', or 'attention' (the whole
  # image, and the mask as an auxiliary target of the training). See lesionjax.data.lesion.
  data.lesion = 'none'
  # 'true': the data set's own; 'stage': those of config.segmenter; else a folder of --mode=masks.
  data.lesion_masks = 'true'
  data.lesion_margin = 0.1  # of a crop, as a share of the longer side of the rectangle
  data.sampling = 'uniform'  # 'uniform', 'balanced' (every class alike) or 'sqrt' (in between)
  # 'stream' decodes every image when its turn comes, 'ram' once, 'device' once and keeps all of
  # them on every accelerator, where a step picks its batch; the numbers do not depend on it.
  data.input = 'stream'
  data.num_threads = 0  # decoding threads of a process; 0 = one a core
  data.train_split = 'train'
  data.leave_out_folds = ()  # of the training split, such as (0, 3): these images train nothing
  data.validation_split = 'validation'
  data.test_split = 'test'
  return data


def _augment() -> ConfigDict:
  """Random changes of a training image, on the device inside the step; 0 or None = off."""
  augment = ConfigDict()
  augment.flip_horizontal = False
  augment.flip_vertical = False
  augment.quarter_turns = False  # by 0, 90, 180 or 270 degrees
  augment.rotation_deg = 0.0  # uniform in +- this many degrees
  augment.scale = (1.0, 1.0)  # uniform range of the zoom; 2 = twice as large
  augment.translate = 0.0  # uniform in +- this share of the side
  augment.shear_deg = 0.0  # uniform in +- this many degrees
  augment.crop_area = (1.0, 1.0)  # random resized crop: share of the area that is kept
  augment.crop_aspect = (1.0, 1.0)  # random resized crop: width / height
  augment.border = 'reflect'  # what lies beyond the frame: see lesionjax.data.augment
  augment.brightness = 0.0  # factor uniform in 1 +- this
  augment.contrast = 0.0  # factor uniform in 1 +- this
  augment.saturation = 0.0  # factor uniform in 1 +- this
  augment.hue = 0.0  # rotation uniform in +- this share of the colour circle
  augment.noise_std = 0.0  # Gaussian noise, in units of the [0, 1] image
  return augment


def _normalise() -> ConfigDict:
  """Taken off and divided by, after augmentation."""
  normalise = ConfigDict()
  normalise.mean = (0.485, 0.456, 0.406)  # per RGB channel of the [0, 1] image (ImageNet)
  normalise.std = (0.229, 0.224, 0.225)
  return normalise


def _model() -> ConfigDict:
  """The network."""
  model = ConfigDict()
  model.name = 'resnet18'  # a key of lesionjax.models.MODELS, or of SEGMENTERS to segment
  model.arguments = ConfigDict()  # keyword arguments of that model, such as {'width': 32}
  model.dtype = 'float32'  # of the computation: 'float32' or 'bfloat16'; parameters stay float32
  # Weights to start from: '' draws them, 'imagenet' takes those that lesionjax.models.table names,
  # a path those of a local .safetensors file with timm's names. Of unet_encoder: its encoder's.
  model.pretrained = ''
  model.reinit = ('head',)  # with pretrained: modules that stay as drawn
  return model


def _train() -> ConfigDict:
  """How long and with how many images at a time."""
  train = ConfigDict()
  train.epochs = 10
  train.batch_size = 64  # over all devices and processes
  train.accumulate = 1  # micro-batches a step; each of batch_size / accumulate images
  # To classify: 'cross_entropy' or, with two classes, 'bce'; validation always measures plain
  # cross-entropy. To segment: 'bce', 'dice', 'bce_dice', 'jaccard' or 'focal_tversky'.
  train.loss = 'cross_entropy'
  train.auxiliary_weight = 0.4  # of deep supervision, and of the mask with data.lesion='attention'
  train.label_smoothing = 0.0  # of cross_entropy
  train.pos_weight = 1.0  # of bce: how many negatives a positive weighs
  train.clip_norm = 0.0  # global gradient norm; 0 = no clipping
  train.ema_decay = 0.0  # moving average of the weights, which is then what is evaluated; 0 = off
  return train


def _optimiser() -> ConfigDict:
  """What turns gradients into steps."""
  optimiser = ConfigDict()
  optimiser.name = 'adamw'  # 'adamw', 'adam' (weight_decay = L2) or 'sgd' (weight_decay = L2)
  optimiser.learning_rate = 1e-3  # the schedule's peak
  optimiser.weight_decay = 0.0  # on matrices and kernels only, never on biases and norms
  optimiser.beta1 = 0.9  # Adam's first moment, SGD's momentum
  optimiser.beta2 = 0.999
  return optimiser


def _schedule() -> ConfigDict:
  """The learning rate over time."""
  schedule = ConfigDict()
  schedule.name = 'constant'  # 'constant', 'step', 'cosine', 'one_cycle' or 'plateau'
  schedule.warmup_epochs = 0.0  # linear from 0; not with one_cycle, which has its own
  schedule.final_fraction = 0.0  # cosine and one_cycle: last rate / peak
  schedule.rise_share = 0.3  # one_cycle: share of the steps before the peak
  schedule.step_epochs = 7  # step: epochs between two drops
  schedule.step_factor = 0.1  # step: what the rate is multiplied with
  schedule.plateau_factor = 0.5  # plateau: what the rate is multiplied with ...
  schedule.plateau_epochs = 5  # ... after this many epochs without a lower validation loss
  schedule.plateau_floor = 1e-7  # smallest learning rate of plateau
  return schedule
