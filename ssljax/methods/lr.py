"""LR: an answer is the sum of a number for each thing that is known, such as user, item and genre.

Logistic regression on sparse features (Richardson et al., "Predicting Clicks", WWW 2007); of
ratings, linear regression. It is the first part of FM and DeepFM.

    logit = w_0 + sum_i w_i x_i
    L = mean cross-entropy of clicks, or mean squared error of ratings
"""

from dataclasses import dataclass

from ssljax.recipes_interactions import OfFields


@dataclass(frozen=True, kw_only=True)
class LR(OfFields):
    """Linear in all features, without any pairs of them."""
