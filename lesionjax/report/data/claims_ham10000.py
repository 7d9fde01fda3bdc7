"""What publications say of HAM10000, each with the function that looks it up in the data."""

from __future__ import annotations

import numpy as np

from lesionjax.report.data import findings_pixels, statistics
from lesionjax.report.data.claim import PUBLISHED, Claim, Facts, Finding, percent

_ADASYN = 'CNN, VGG16 and ResNet-50 with ADASYN at 32x32'
_BINARY = 'Benign or malignant with ResNet'
_RESNET18 = 'ResNet-18 with oversampling'
_TWO_STAGE = 'Two-stage melanoma classifier'

MALIGNANT = ('akiec', 'bcc', 'mel')
_TEST_SHARE = 0.2  # of both texts whose supports are held against the counts


def _images(facts: Facts) -> Finding:
  images, lesions = len(facts.table), len(np.unique(facts.text('lesion_id')))
  return Finding(
    f'{images:,} images of {lesions:,} lesions',
    'holds' if images == 10_015 else 'does not hold',
    'Images are counted; they show fewer lesions.',
  )


def _seven_types(facts: Facts) -> Finding:
  return Finding(
    f'{len(facts.table):,} images, {len(facts.counts)} classes',
    'holds' if (len(facts.table), len(facts.counts)) == (10_015, 7) else 'does not hold',
    'High resolution is 600x450 px in the published files.',
  )


def _archive_images(facts: Facts) -> Finding:
  images, lesions = len(facts.table), len(np.unique(facts.text('lesion_id')))
  return Finding(
    f'{images:,} images of {lesions:,} lesions',
    'partly' if images == 10_015 else 'does not hold',
    "The archive's collection also holds the 193 validation and 1,512 test images of ISIC 2018 "
    'Task 3 (10,015 + 193 + 1,512 = 11,720), all of them in the test set of ISIC 2019: whoever '
    'trains on it can no longer test there.',
  )


def _patients(facts: Facts) -> Finding:
  known = int((facts.text('patient_id') != '').sum())
  return Finding(
    f'{known:,} images with a patient id',
    'does not hold' if known else 'holds',
    'So lesions can be kept together, patients cannot.',
  )


def _histology_half(facts: Facts) -> Finding:
  share = _confirmed(facts)
  return Finding(
    f'{percent(share)} of the images',
    'holds' if abs(share - 0.5) <= 0.05 else 'does not hold',
    'Of the melanomas all: how a diagnosis was made tells the class, and is no input.',
  )


def _histology_most_lesions(facts: Facts) -> Finding:
  images = _confirmed(facts)
  _, first = np.unique(facts.text('lesion_id'), return_index=True)
  lesions = float((facts.text('confirmation')[first] == 'histo').mean())
  answer = 'holds' if lesions > 0.5 else 'partly' if images > 0.5 else 'does not hold'
  return Finding(
    f'{percent(images)} of the images, {percent(lesions)} of the lesions',
    answer,
    'It is true of images; confirmed lesions have more photographs.' if answer == 'partly' else '',
  )


def _confirmed(facts: Facts) -> float:
  return float((facts.text('confirmation') == 'histo').mean())


def _ranking(facts: Facts) -> Finding:
  order = sorted(facts.counts, key=lambda name: -facts.counts[name])
  told = ', '.join(f'{name} {facts.counts[name]:,}' for name in order[:3])
  return Finding(told, 'holds' if order[:3] == ['nv', 'mel', 'bkl'] else 'does not hold')


def _sexes(facts: Facts) -> Finding:
  sex, labels = facts.text('sex'), facts.table.label
  shares = {
    name: float((sex[(labels == index) & (sex != '')] == 'male').mean())
    for index, name in enumerate(facts.table.class_names)
    if ((labels == index) & (sex != '')).sum() >= 100
  }
  if not (sex != '').any():
    return Finding('no sex is known here', 'cannot be judged')
  male = float((sex[sex != ''] == 'male').mean())
  uneven = {name: share for name, share in shares.items() if abs(share - 0.5) > 0.05}
  told = ', '.join(f'{name} {percent(share, 0)}' for name, share in shares.items())
  even = abs(male - 0.5) <= 0.05
  return Finding(
    f'{percent(male)} male where known; {told}',
    'holds' if even and not uneven else 'partly' if even else 'does not hold',
    f'Balanced over all, not within {", ".join(uneven)}.' if even and uneven else '',
  )


def _ages(facts: Facts) -> Finding:
  age = facts.table.age
  if age is None or not np.isfinite(age).any():
    return Finding('no age is known here', 'cannot be judged')
  known = age[np.isfinite(age)]
  share = float(((known >= 40) & (known <= 60)).mean())
  return Finding(
    f'{percent(share)} of the known ages are 40 to 60, the median is {np.median(known):.0f}',
    'holds' if share > 0.5 else 'does not hold',
    'Who was photographed, not who falls ill: the set is no sample of a population.',
  )


def _sites(facts: Facts) -> Finding:
  counts = statistics.value_counts(facts.text('site'))
  first = list(counts)[:4]
  right = first == ['back', 'lower extremity', 'trunk', 'upper extremity']
  right &= all(counts[name] > 2000 for name in first[:2])
  return Finding(
    ', '.join(f'{name} {counts[name]:,}' for name in first) or 'no site is known here',
    'holds' if right else 'does not hold',
    'Places of lesions of all kinds, most of them benign - not of cancers.',
  )


def _cancers(facts: Facts) -> Finding:
  share = 1 - facts.share(*MALIGNANT)
  benign = [name for name in facts.counts if name not in MALIGNANT]
  return Finding(
    f'{", ".join(benign)} are benign: {percent(share)} of the images',
    'holds' if not benign else 'does not hold',
  )


def _imbalance(facts: Facts) -> Finding:
  share = facts.share(*MALIGNANT)
  return Finding(
    f'{percent(1 - share)} / {percent(share)} with mel, bcc and akiec as malignant',
    'holds' if abs(share - 0.19) <= 0.01 else 'does not hold',
  )


def _few_melanomas(facts: Facts) -> Finding:
  counts = facts.counts
  rank = sorted(counts, key=lambda name: -counts[name]).index('mel') + 1 if 'mel' in counts else 0
  return Finding(
    f'{counts.get("mel", 0):,} melanomas, number {rank} of {len(counts)} classes',
    'does not hold' if 0 < rank <= 3 else 'holds',
    'Its row "melanoma", 23 images, holds the dermatofibromas.',
  )


def _shifted_names(facts: Facts) -> Finding:
  expected = {name: round(_TEST_SHARE * count) for name, count in facts.counts.items()}
  order = sorted(expected, key=lambda name: -expected[name])
  return Finding(
    '20 % of the images: ' + ', '.join(f'{name} {expected[name]:,}' for name in order),
    'holds' if abs(expected.get('vasc', 0) - 1341) < 50 else 'does not hold',
    'The supports fit other names: its "vascular lesions" are nv, its "melanoma" (recall .783) is '
    'df. Melanoma is its row of 223 images with recall .345.',
  )


def _supports(facts: Facts) -> Finding:
  claimed = dict(zip(PUBLISHED['ham10000'].classes, (69, 93, 228, 28, 226, 1338, 21), strict=True))
  expected = {name: _TEST_SHARE * facts.counts.get(name, 0) for name in claimed}
  # Drawn at random, a count varies by sqrt(n p (1 - p)).
  fits = all(
    abs(claimed[name] - expected[name]) <= 3 * max(0.8 * expected[name], 1) ** 0.5
    for name in claimed
  )
  return Finding(
    ', '.join(f'{name} {count:.0f}' for name, count in expected.items()),
    'holds' if fits else 'does not hold',
    'As one draws images, not lesions: 38.7 % of such test images share a lesion with training.',
  )


def _oversampled(facts: Facts) -> Finding:
  filled = 7 * (1 - _TEST_SHARE) * facts.counts.get('nv', 0)
  return Finding(
    f'seven times 80 % of nv is {filled:,.0f}',
    'holds' if abs(filled / 37_565 - 1) < 0.01 else 'does not hold',
    'ADASYN fills classes up to about the largest.',
  )


def _below_majority(facts: Facts) -> Finding:
  share = facts.share('nv')
  return Finding(
    f'always answering nv is right for {percent(share)}',
    'does not hold' if share > 0.636 else 'holds',
    'A network that knows nothing of the image does better.',
  )


def _sources(facts: Facts) -> Finding:
  counts = statistics.value_counts(facts.text('source'))
  told = ', '.join(f'{name} {count:,}' for name, count in counts.items())
  return Finding(told or 'no sources here', 'holds' if len(counts) > 1 else 'cannot be judged')


_WHOLE = ('all images', 'all classes')
CLAIMS = (
  Claim('ham10000', '10,015 dermoscopic images.',
        f'{_RESNET18}, "HAM10000"; {_TWO_STAGE}, section 4', _images, ('all images',)),
  Claim('ham10000', '"10,000 high-resolution images labeled with seven types of skin lesions"',
        f'{_ADASYN}, "Dataset"', _seven_types, _WHOLE),
  Claim('ham10000', '"The final dataset consists of 11720 dermatoscopic images", 8,838 lesions',
        f'{_BINARY}, section 2', _archive_images, ('all images',)),
  Claim('ham10000', '"Number of specified patients: 0"', f'{_BINARY}, section 2', _patients),
  Claim('ham10000', 'JPG images.', f'{_TWO_STAGE}, section 4', findings_pixels.jpeg),
  Claim('ham10000', '"Data was stored as png. files in two folders"',
        f'{_RESNET18}, "Data Preparation"', findings_pixels.png),
  Claim('ham10000', '"All original images and masks [...] initially have a size of 600 * 450"',
        f'{_TWO_STAGE}, section 4.1', findings_pixels.one_size, ('pixels as published',)),
  Claim('ham10000', '"Approximately 50% of the dataset has histopathological confirmation"',
        f'{_ADASYN}, "Dataset"', _histology_half, ('all images', 'metadata')),
  Claim('ham10000', '"More than 50% of lesions" are confirmed by pathology.',
        f'{_RESNET18}, "HAM10000"; {_TWO_STAGE}, section 4',
        _histology_most_lesions, ('all images', 'metadata')),
  Claim('ham10000', 'nv is the most frequent class, "followed by Melanoma (mel), Benign '
        'keratosis-like lesions (bkl), and others"',
        f'{_ADASYN}, "Exploratory Data Analysis"', _ranking, _WHOLE),
  Claim('ham10000', '"a balanced distribution of male and female data points"',
        f'{_ADASYN}, "Exploratory Data Analysis"', _sexes, ('all images', 'metadata')),
  Claim('ham10000', '"a concentration of data points between 40 and 60 years old"',
        f'{_ADASYN}, "Exploratory Data Analysis"', _ages, ('all images', 'metadata')),
  Claim('ham10000', 'Most cases "on the back and lower extremities, with more than 2000", then '
        'trunk and upper extremities.',
        f'{_ADASYN}, "Exploratory Data Analysis"', _sites, ('all images', 'metadata')),
  Claim('ham10000', 'The labels are "the seven cancer types".',
        f'{_ADASYN}, "Data Preprocessing"', _cancers, _WHOLE),
  Claim('ham10000', '"the ~81/19 imbalance" of benign and malignant',
        f'{_BINARY}, section 5.2', _imbalance, _WHOLE),
  Claim('ham10000', '"Limited dataset size for some classes (particularly melanoma)"',
        f'{_RESNET18}, "Limitations and Challenges"', _few_melanomas, _WHOLE),
  Claim('ham10000', 'Of the test images 1,341 are vascular lesions, 223 basal cell carcinomas, '
        '23 melanomas.',
        f'{_RESNET18}, table of "Results and Evaluation"', _shifted_names, _WHOLE),
  Claim('ham10000', 'A test set of 20 % with 69, 93, 228, 28, 226, 1,338, 21 images of classes '
        '0 to 6.', f'{_ADASYN}, table of the CNN', _supports, _WHOLE),
  Claim('ham10000', 'ADASYN makes a training set of 37,565.',
        f'{_ADASYN}, "Data Preprocessing"', _oversampled, _WHOLE),
  Claim('ham10000', 'An accuracy of 63.6 % (VGG16) "indicates the model\'s capability to '
        'generalize well"', f'{_ADASYN}, "VGG16"', _below_majority, _WHOLE),
  Claim('ham10000', 'Binary masks "for all 10015 images"', f'{_TWO_STAGE}, section 4',
        findings_pixels.masks, ('all images',)),
  Claim('ham10000', '"there is only one skin lesion in each image"',
        f'{_TWO_STAGE}, section 3.1', findings_pixels.one_lesion),
  Claim('ham10000', '"the background is much larger than the actual mole"',
        f'{_TWO_STAGE}, section 3.1', findings_pixels.small_lesion, ('pixels as published',)),
  Claim('ham10000', '"collected from different populations, acquired and stored by different '
        'modalities"', f'{_TWO_STAGE}, section 4', _sources),
)  # fmt: skip
