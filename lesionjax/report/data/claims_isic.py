"""What publications say of the ISIC challenge data, each with the function that looks it up."""

from __future__ import annotations

from lesionjax.report.data import findings_pixels, statistics
from lesionjax.report.data.claim import Claim, Facts, Finding, percent

_DECK = 'Four balancing strategies on ISIC 2019'
_TWO_STAGE = 'Two-stage melanoma classifier'

_HAM_HISTOLOGY = 5_340
"""Images of HAM10000 that were confirmed by histopathology, by its own table."""


def _images_2019(facts: Facts) -> Finding:
  return Finding(
    f'{len(facts.table):,} images, {len(facts.counts)} classes',
    'holds' if (len(facts.table), len(facts.counts)) == (25_331, 8) else 'does not hold',
  )


def _extremes(facts: Facts) -> Finding:
  found = statistics.imbalance(facts.counts)
  if found is None:
    return Finding('fewer than two classes', 'cannot be judged')
  most, least, ratio = found
  right = facts.counts.get('nv') == 12_875 and facts.counts.get('df') == 239
  return Finding(
    f'{most} {facts.counts[most]:,}, {least} {facts.counts[least]:,}: {ratio:.1f} to 1',
    'holds' if right and int(ratio) == 53 else 'does not hold',
    '12,875 / 239 is 53.9.',
  )


def _malignant(facts: Facts) -> Finding:
  without, with_ak = facts.share('mel', 'bcc', 'scc'), facts.share('mel', 'bcc', 'scc', 'ak')
  return Finding(
    f'mel, bcc and scc {percent(without)}; with ak {percent(with_ak)}',
    'holds' if abs(without - 0.334) < 0.001 else 'does not hold',
    'Of the published counts it is 33.4 %, and 36.9 % with actinic keratosis, which can become a '
    'carcinoma and is counted as benign.',
  )


def _biopsy(facts: Facts) -> Finding:
  ham = int((facts.text('source') == 'ham10000').sum())
  return Finding(
    f'{ham:,} of {len(facts.table):,} images come from HAM10000; no confirmation is published',
    'does not hold' if ham > _HAM_HISTOLOGY else 'cannot be judged',
    f"HAM10000's own table says that {_HAM_HISTOLOGY:,} of its 10,015 images (53.3 %) were "
    'confirmed by histopathology, the others by follow-up, consensus or confocal microscopy.',
  )


def _akiec(facts: Facts) -> Finding:
  present = 'akiec' in facts.table.class_names
  return Finding(
    f'the classes are {", ".join(facts.counts)}',
    'holds' if present else 'does not hold',
    'AKIEC is a class of HAM10000: the results it tells are of that data set.',
  )


def _fibromas(facts: Facts) -> Finding:
  fibromas, naevi = facts.counts.get('df', 0), facts.counts.get('nv', 0)
  return Finding(
    f'df {fibromas:,} in all, {0.7 * fibromas:,.0f} in 70 % for training; 70 % of nv are '
    f'{0.7 * naevi:,.0f}',
    'does not hold' if round(0.7 * fibromas) != 239 else 'holds',
    '239 is the count in the whole set, 9,012 that of nv in 70 % of it.',
  )


def _majority_2019(facts: Facts) -> Finding:
  share = facts.share('nv')
  return Finding(
    f'always answering nv is right for {percent(share)}',
    'holds' if share < 0.73 else 'does not hold',
    'For HAM10000, on which it was measured, it is 66.9 %.',
  )


def _pairs(facts: Facts) -> Finding:
  masks = 0 if facts.table.has_mask is None else int(facts.table.has_mask.sum())
  return Finding(
    f'{len(facts.table):,} images, {masks:,} masks',
    'holds' if len(facts.table) == masks == 2_594 else 'does not hold',
  )


def _images_2020(facts: Facts) -> Finding:
  return Finding(
    f'{len(facts.table):,} images, after the duplicates were removed',
    'holds' if len(facts.table) == 32_701 else 'does not hold',
  )


def _patients_2020(facts: Facts) -> Finding:
  patients = len(statistics.value_counts(facts.text('patient_id')))
  return Finding(
    f'{patients:,} patients, up to {statistics.group_sizes(facts.table).max():,} images in a group',
    'holds' if patients > 2_000 else 'does not hold',
    'Drawn image by image, 99.7 % of its test images show a patient who is also in training.',
  )


def _malignant_2020(facts: Facts) -> Finding:
  share = facts.share('malignant')
  return Finding(
    f'{facts.counts.get("malignant", 0):,} of {facts.labelled:,} images: {percent(share, 2)}',
    'holds' if abs(share - 0.018) < 0.0005 else 'does not hold',
  )


def _ratio_2020(facts: Facts) -> Finding:
  ratio = facts.counts.get('benign', 0) / max(facts.counts.get('malignant', 0), 1)
  return Finding(
    f'{ratio:.1f} benign images to a malignant one',
    'holds' if round(ratio) == 49 else 'does not hold',
  )


def _test_set_2020(facts: Facts) -> Finding:
  malignant = round(0.15 * facts.counts.get('malignant', 0))
  benign = round(0.15 * facts.labelled) - malignant
  return Finding(
    f'15 % of the images are {benign:,} benign and {malignant:,} malignant ones',
    'holds' if (benign, malignant) == (4_734, 87) else 'does not hold',
    'Its confusion matrix of the segmented images has 84 benign ones fewer than that of the '
    'originals (4,818): those in which no lesion was found.',
  )


def _histology_2020(facts: Facts) -> Finding:
  diagnosis = facts.text('diagnosis')
  unknown = float((diagnosis == 'unknown').mean())
  return Finding(
    f'no confirmation is published; the diagnosis of {percent(unknown)} of the images is "unknown"',
    'cannot be judged',
    'The published tables do not say how a label was made.',
  )


_WHOLE = ('all images', 'all classes')
_PIXELS = ('all images', 'pixels as published')
CLAIMS = (
  Claim('isic2019', '25,331 dermoscopic images, 8 disease categories.',
        f'{_DECK}, "ISIC 2019"', _images_2019, _WHOLE),
  Claim('isic2019', '53:1 from the largest class (NV, 12,875) to the smallest (DF, 239).',
        f'{_DECK}, "Extreme class imbalance"', _extremes, _WHOLE),
  Claim('isic2019', '"33.4% malignant classes combined"',
        f'{_DECK}, "Extreme class imbalance"', _malignant, _WHOLE),
  Claim('isic2019', 'Ground truth: "Confirmed via histopathology (biopsy)"',
        f'{_DECK}, "ISIC 2019"', _biopsy),
  Claim('isic2019', '"Images range from 600×450 to 1024×1024. Median size is 1024×768."',  # noqa: RUF001
        f'{_DECK}, "What the raw data looks like"', findings_pixels.sizes_2019, _PIXELS),
  Claim('isic2019', '"88% of sample images contain visible hair structures"',
        f'{_DECK}, "What the raw data looks like"', findings_pixels.hair, _PIXELS),
  Claim('isic2019', '"Standard deviation of brightness is 29.13 - very high"',
        f'{_DECK}, "What the raw data looks like"', findings_pixels.brightness, _PIXELS),
  Claim('isic2019', '"Red channel dominates across most images"',
        f'{_DECK}, "What the raw data looks like"', findings_pixels.red, _PIXELS),
  Claim('isic2019', 'The baseline has "near 0% recall on AKIEC".',
        f'{_DECK}, "Per-Class Recall"', _akiec, ('all classes',)),
  Claim('isic2019', '"73% accuracy sounds great"',
        f'{_DECK}, "Accuracy is a Liar"', _majority_2019, _WHOLE),
  Claim('isic2019', '"DF went from 239 to 9,012 samples"',
        f'{_DECK}, "CGANs Win on Rare Classes"', _fibromas, _WHOLE),
  Claim('isic2018_task1', '2,594 pairs of image and mask.',
        f'{_DECK}, notebooks of its authors', _pairs, ('all images',)),
  Claim('isic2018_task1', '"the lesion is a small part of the image"',
        f'{_DECK}, "Isolating the lesion"', findings_pixels.small_lesion, ('pixels as published',)),
  Claim('isic2020', '33,126 training images; 425 duplicates removed leave 32,701.',
        f'{_TWO_STAGE}, sections 4 and 4.1', _images_2020, ('all images',)),
  Claim('isic2020', '"from over 2,000 patients"', f'{_TWO_STAGE}, section 4', _patients_2020,
        ('all images',)),
  Claim('isic2020', '"only around 1.8% malignant examples"',
        f'{_TWO_STAGE}, section 3.3', _malignant_2020, _WHOLE),
  Claim('isic2020', '"49 times as many benign images compared to malignant"',
        f'{_TWO_STAGE}, section 6.2', _ratio_2020, _WHOLE),
  Claim('isic2020', 'The segmented test images are 87 malignant and 4,734 benign ones.',
        f'{_TWO_STAGE}, table 3', _test_set_2020, _WHOLE),
  Claim('isic2020', '"All malignant diagnoses have been confirmed via histopathology"',
        f'{_TWO_STAGE}, section 4', _histology_2020),
  Claim('isic2020', '"varying sizes ranging from 6000*4000 to 640*480"',
        f'{_TWO_STAGE}, section 4.1', findings_pixels.sizes_2020, _PIXELS),
)  # fmt: skip
