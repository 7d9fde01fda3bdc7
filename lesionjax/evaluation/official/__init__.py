"""How the ISIC challenge scores a table of class probabilities: Task 3 of 2018, and 2019.

The numbers are those of `isic-challenge-scoring` 5.6.0, the organisers' own program
(github.com/ImageMarkup/isic-challenge-scoring), for w the weights of the truth's `score_weight`:

    accuracy .. npv  of one class against the rest: a probability above .5 is a call, .5 is none.
                     A rate without any image to it is 1.
    auc              area under the ROC curve, weighted; ties count one half
    auc_sens_80      the part of that area that lies above a sensitivity of .8 on the curve: from
                     the point where it is reached, interpolated, down to 0 below
    ap               sum over thresholds of (recall step) * precision; 0 without an image of the
                     class
    macro_average    plain mean over the classes
    balanced_accuracy  mean over the classes of the weighted share of their images whose one highest
                     probability is theirs; where two are highest, no class is called. It ranks.
    validation       the ranking number under `validation_weight` instead

ISIC_0035068 must be there and counts for nothing: its weights are 0, whatever the table says.
"""

from lesionjax.evaluation.official.scoring import METRICS, Score, score
from lesionjax.evaluation.official.tables import Truth, read_submission, read_truth

__all__ = ['METRICS', 'Score', 'Truth', 'read_submission', 'read_truth', 'score']
