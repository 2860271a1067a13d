"""What the table of reconstruction says of each network, averaged over seeds."""

from __future__ import annotations

import pandas as pd

DECODER_METHODS = ("decoded", "refined", "mean_latent")
VALUES = ("target_accuracy", "accuracy", "gap", "error", "agreement", "agreement_other", "margin")


def main_embedder(reconstruction: pd.DataFrame) -> pd.DataFrame:
    """The rows of the first embedder that is named, and of all controls."""
    names = [name for name in reconstruction["embedder"].unique() if name != "none"]
    return reconstruction[reconstruction["embedder"].isin(["none", *names[:1]])]


def per_network(reconstruction: pd.DataFrame) -> pd.DataFrame:
    """One row per (method, network), averaged over seeds, in the order of the file.

    Adds `gap` (accuracy minus target), `error` (its absolute value), `margin` (agreement with the
    own target minus that with other targets), `runs` (rows averaged) and `failed` (those of another
    architecture than the target's). An embedder other than the first one named is a method of its
    own.
    """
    frame = reconstruction.copy()
    decoded = frame.loc[frame["method"] == "decoded", "embedder"]
    main = decoded.iloc[0] if len(decoded) else None
    other = frame["method"].isin(DECODER_METHODS) & (frame["embedder"] != main)
    frame.loc[other, "method"] += " (" + frame.loc[other, "embedder"].astype(str) + ")"
    frame["failed"] = frame["predicted_architecture"] != frame["architecture"]
    frame["gap"] = frame["accuracy"] - frame["target_accuracy"]
    frame["error"] = frame["gap"].abs()
    frame["margin"] = frame["agreement"] - frame["agreement_other"]
    grouped = frame.groupby(["method", "architecture", "network"], sort=False)
    result = grouped[list(VALUES)].mean()
    result["failed"] = grouped["failed"].sum()
    result["runs"] = grouped.size()
    return result.reset_index()


def trained_accuracy(networks: pd.DataFrame) -> dict[str, float]:
    """Mean test accuracy of the trained test networks of each architecture."""
    targets = networks.drop_duplicates("network")
    return targets.groupby("architecture", sort=False)["target_accuracy"].mean().to_dict()


def of(networks: pd.DataFrame, method: str) -> pd.DataFrame:
    """The rows of a method."""
    return networks[networks["method"] == method]
