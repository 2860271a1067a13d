"""The columns of every table, for those that write them and those that read them.

Others rely on these names (docs/index.md); a table may have more. Accuracies, agreements and shares
lie in [0, 1].
"""

from __future__ import annotations

SCORES = ("chamfer", "fscore_001", "fscore_002", "iou", "normal_consistency")

CATALOGUE = ("network", "architecture", "split", "status", "validation_accuracy")
FIELD_CATALOGUE = ("network", "shape", "split", "status", "mse", "sign_accuracy", "iou")
LOSSES = ("step", "name", "value")

# Tables of a space of classifiers, by experiment; one row per network, point or pair.
CLASSIFIERS = {
    "latent_map": (
        "network",
        "architecture",
        "split",
        "validation_accuracy",
        "predicted_architecture",
        "x",
        "y",
        "answers_x",
        "answers_y",
        "explained_x",
        "explained_y",
        "seed",
    ),
    "reconstruction": (
        "network",
        "architecture",
        "method",
        "predicted_architecture",
        "target_accuracy",
        "accuracy",
        "agreement",
        "agreement_other",
        "embedder",
        "seed",
        "latent",
        "compression",
    ),
    "interpolation": (
        "pair",
        "ends",
        "method",
        "gamma",
        "predicted_architecture",
        "accuracy",
        "seed",
        "architecture",
    ),
    "latent_optimization": (
        "architecture",
        "method",
        "step",
        "validation_accuracy",
        "test_accuracy",
        "start",
        "start_from",
        "seed",
    ),
    "unseen": (
        "left_out",
        "pair",
        "gamma",
        "architecture",
        "predicted_architecture",
        "accuracy",
        "method",
        "seed",
        "agreement_other",
    ),
    "unseen_finetune": (
        "left_out",
        "architecture",
        "method",
        "epochs",
        "network",
        "train_accuracy",
        "accuracy",
        "seed",
    ),
    "property_prediction": (
        "architecture",
        "features",
        "model",
        "target",
        "r2",
        "r2_low",
        "r2_high",
        "kendall_tau",
        "tau_low",
        "tau_high",
        "networks",
        "seed",
    ),
    "sampling": ("network", "architecture", "kind", "band", "epochs", "accuracy", "seed"),
    "novelty": (
        "network",
        "architecture",
        "kind",
        "band",
        "accuracy",
        "nearest_weights",
        "weight_distance",
        "nearest_outputs",
        "agreement",
        "error_overlap",
        "error_overlap_most",
        "aligned_distance",
        "level",
        "embedder",
        "seed",
    ),
    "retrieval": (
        "network",
        "architecture",
        "method",
        "neighbours",
        "precision_architecture",
        "chance_architecture",
        "precision_band",
        "chance_band",
        "precision_band_within",
        "chance_band_within",
        "agreement_within",
        "chance_agreement_within",
        "embedder",
        "seed",
    ),
    "arithmetic": (
        "network",
        "architecture",
        "band",
        "method",
        "scale",
        "accuracy",
        "change",
        "chosen",
        "seed",
    ),
}

# Tables of a space of fields; one row per shape, or per mesh that was made.
FIELDS = {
    "latent_map": ("shape", "split", "iou", "x", "y", "seed"),
    "reconstruction": ("shape", "method", "embedder", "seed", *SCORES),
    "interpolation": (
        "pair",
        "first",
        "last",
        "point",
        "gamma",
        "method",
        "mesh",
        "volume",
        "parts",
        "nearest",
        "chamfer",
    ),
    "completion": ("shape", "method", "points", *SCORES),
    "sampling": ("method", "mesh", "volume", "parts", "nearest", "chamfer"),
}

# What the zoo of a space of fields lists of its shapes.
SHAPES = ("shape", "split", "source", "mended", "vertices", "triangles")
LEFT_OUT = ("file", "reason")

# What compares variants of a space, by its kind.
VARIANTS = {
    "classifiers": (
        "variant",
        "trained_on",
        "latent_size",
        "split",
        "architecture",
        "method",
        "seeds",
        "error",
        "correlation",
        "agreement",
        "predicted_right",
        "own_above_other",
        "own_low",
        "own_high",
        "error_low",
        "error_high",
        "error_spread",
        "agreement_low",
        "agreement_high",
        "agreement_spread",
    ),
    "fields": (
        "variant",
        "trained_on",
        "warp",
        "split",
        "seeds",
        "siren",
        "decoded",
        "nearest",
        "share",
        "share_low",
        "share_high",
        "share_spread",
        "nearest_share",
    ),
}
