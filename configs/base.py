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
  config.task = 'classify'  # 'classify', 'segment' or 'generate'
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
  #   reinit_head         True: the head is drawn anew at the start; not in the first phase, where
  #                       init_head says so. False is the default
  #   optimiser, schedule, augment, select.patience_epochs, data.(sampling, resample,
  #   resample_neighbours), train.(loss, label_smoothing, clip_norm, class_weights, effective_beta,
  #   focal_gamma, logit_adjustment, ldam_margin):
  #                       dictionaries of the keys that change, such as
  #                       'optimiser': {'learning_rate': 1e-2}
  # Optimiser, schedule, moving average, patience and plateau begin anew with every phase.
  config.phases = ()
  config.optimiser = _optimiser()
  config.schedule = _schedule()
  config.gan = _gan()

  config.select = _select()
  config.checkpoint = checkpoint = ConfigDict()
  checkpoint.every_steps = 0  # beside the one at the end of every epoch; 0 = none beside it
  config.log = log = ConfigDict()
  log.every_steps = 20  # steps between two flushes of metrics.jsonl and progress lines

  config.evaluate = _evaluate()
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
  # 'uniform', 'balanced' (every class alike), 'sqrt' (in between), 'undersample' (round by
  # round a new random part of every class, as large as the rarest) or 'oversample' (every class
  # repeated to the size of the largest). An epoch has as many steps with all of them.
  data.sampling = 'uniform'
  # New training rows between images of one class, until it has as many as the largest: 'none',
  # 'smote' or 'adasyn'. Steps stay those of the real split; lesionjax.data.resample tells the
  # memory.
  data.resample = 'none'
  # 'features': in phases with cache_features; 'pixels': of data.input 'ram' or 'device', before
  # augmentation.
  data.resample_space = 'features'
  data.resample_neighbours = 5  # k; every class that is filled needs k + 1 images
  # 'stream' decodes every image when its turn comes, 'ram' once, 'device' once and keeps all of
  # them on every accelerator, where a step picks its batch; the numbers do not depend on it.
  data.input = 'stream'
  data.num_threads = 0  # decoding threads of a process; 0 = one a core
  data.synthetic = ''  # --out of --mode=generate: generated images join the training split
  data.synthetic_share = 1.0  # of the generated images of every class
  data.train_split = 'train'
  data.leave_out_folds = ()  # of the training split, such as (0, 3): these images train nothing
  # Classes that are left out of training and validation and are unknown in the test split, such as
  # ('vasc',): how well they are told from the known ones is then measured.
  data.leave_out_classes = ()
  # What surrounds the lesion: 'none' (the photograph as it is) or 'tones' (skin recoloured to one
  # of 18 tones, drawn for every image): see lesionjax.data.background.
  data.background = 'none'
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
  model.name = 'resnet18'  # a key of lesionjax.models.MODELS, of SEGMENTERS or of GENERATORS
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
  # To classify: 'cross_entropy', 'focal', 'logit_adjusted' (balanced softmax), 'ldam' or, with two
  # classes, 'bce'; validation always measures plain cross-entropy. To segment: 'bce', 'dice',
  # 'bce_dice', 'jaccard' or 'focal_tversky'.
  train.loss = 'cross_entropy'
  train.auxiliary_weight = 0.4  # of deep supervision, and of the mask with data.lesion='attention'
  train.label_smoothing = 0.0  # of cross_entropy
  train.pos_weight = 1.0  # of bce: how many negatives a positive weighs
  train.focal_gamma = 2.0  # of focal: 0 is cross-entropy
  train.logit_adjustment = 1.0  # of logit_adjusted: tau; 0 is cross-entropy
  # Of ldam, which takes model.arguments.head='cosine' (or one that ends so): margin of the rarest
  # class, as a difference of cosines.
  train.ldam_margin = 0.5
  # Weight of an image in cross_entropy, focal and ldam by its class: 'none', 'balanced'
  # (n / (K n_c)) or 'effective' (number of samples, of mean 1 over classes). Counts are always
  # those of the training split, whatever is drawn or resampled.
  train.class_weights = 'none'
  train.effective_beta = 0.999  # of effective: the nearer to 1, the nearer to weights of 1 / n_c
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


def _gan() -> ConfigDict:
  """Only with task='generate'; config.optimiser and config.schedule are the generator's."""
  gan = ConfigDict()
  gan.latent = 128  # standard normal numbers that an image is drawn from
  gan.loss = 'hinge'  # 'hinge', or 'bce' with the generator's loss that does not saturate
  gan.discriminator_learning_rate = 4e-4  # peak; everything else is as of config.optimiser
  # Updates of the discriminator before the generator's one; each takes its own part of the batch.
  gan.discriminator_steps = 1
  gan.r1 = 0.0  # weight of the squared slope of the discriminator at real images; 0 = off
  gan.r1_every = 16  # steps between two such penalties, each of as many times the weight
  # Of what the discriminator sees, real or generated: 'colour', 'translation', 'cutout'.
  gan.augment = ('colour', 'translation', 'cutout')
  gan.augment_strength = 1.0  # 0 = none, 1 = as published
  gan.grid_columns = 10  # samples of every class in WORKDIR/samples
  # A finished classifier's run, trained on the same classes, preprocessing and split: after every
  # epoch FID, KID and the share it recognises are measured with it on validation; '' = none.
  gan.judge = ''
  gan.judge_images = 1000  # of validation, and as many generated ones, after every epoch
  return gan


def _select() -> ConfigDict:
  """Which checkpoint is best, and when to stop."""
  select = ConfigDict()
  # On validation; decides which checkpoint is best. To segment: 'dice', 'jaccard', 'loss' ...; to
  # generate: 'latest' (the newest) or, with gan.judge, 'fid', 'kid', 'judge_recall' ...
  select.metric = 'balanced_accuracy'
  # 'any', or 'last': with config.phases, epochs of the last one only, where that is what the run is
  # about, such as a head drawn anew at the end; 'any' may keep an epoch from before that.
  select.phase = 'any'
  select.patience_epochs = 0  # stop after this many epochs without a better one; 0 = never
  return select


def _evaluate() -> ConfigDict:
  """What is measured at the end."""
  evaluate = ConfigDict()
  evaluate.batch_size = 128  # over all devices and processes
  evaluate.resamples = 1000  # of the bootstrap over lesions or patients
  evaluate.examples = 24  # images shown in the report
  evaluate.colour_baseline = True  # gradient boosting on colour statistics beside the network
  # Of a classifier's report. What counts as positive for thresholds: 'malignant' (the probabilities
  # of all classes that are, added up) or one class such as 'mel', against the rest.
  evaluate.positive = 'malignant'
  evaluate.cost_ratio = 10.0  # how many false alarms a missed positive costs
  evaluate.bins = 15  # of the reliability diagram, with as many images each
  evaluate.coverage = 0.9  # of the conformal prediction sets, in every class
  evaluate.subgroups = True  # rates by skin tone, sex, age, site and source
  evaluate.min_count = 10  # lesions or patients below which a subgroup has no rate
  evaluate.explain = 24  # images with maps of what the network looked at; 0 = none
  evaluate.feature_map = 1000  # images on the t-SNE map of pre-logits; 0 = no map
  return evaluate
