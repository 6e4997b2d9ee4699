"""The published edge model itself: DeiT-Tiny through our exporter, kernels and server, on labelled ImageNet photos.

    python benchmarks/deit_touchstone.py --weights DEIT_TINY.safetensors --photos nips17_dev.tar [--json OUT]

Reports the largest difference between ONNX and PyTorch, top-1, and the mean number of patches that δ = 0.97 selects on
the photos that η = 0.8 does not answer (published for DeiT-Tiny on the ImageNet validation set: 147.96). Then the
published orderings of scores and selection rules, with DeiT-Tiny as the server as well (the paper's is DeiT-Base, whose
weights are not at hand): every photo sent, so that only the selection matters.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

from edge_runtime.evaluation.link import open_link
from edge_runtime.evaluation.passes import EdgePass, SelectedPatches, WholePhoto, edge_pass, server_pass
from edge_runtime.evaluation.points import ungated, wilson
from edge_runtime.kernels import normalise
from edge_runtime.labelled_photos import Photo
from edge_runtime.messages import Frame
from edge_runtime.models import Bundle
from edge_runtime.photos import open_frame
from edge_runtime.systems.edge import EdgeModel
from edge_runtime.systems.selection import select
from exporters.cli import main as edge_export
from exporters.networks.vit import VisionTransformer, VitConfig

ETA, DELTA, PUBLISHED = 0.8, 0.97, 147.96
COMPARED = 50
ORDERED = 400
SUMS = (0.6, 0.75, 0.87, 0.93, 0.97)
THRESHOLDS = (0.001, 0.0015, 0.0022, 0.0035, 0.006)
COUNTS = (40, 70, 100, 130, 160)


def main() -> None:
    """Measure, print, and write JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--photos", type=Path, required=True, help="tar with images/*.jpg and a CSV of TrueLabel")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    photos = labelled(options.photos)[: options.limit]
    with tempfile.TemporaryDirectory() as folder:
        bundle = export(options.weights, Path(folder))
        report = measure(bundle, photos, options.weights)
    print(json.dumps(report, indent=2))
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")


def labelled(path: Path) -> list[Photo]:
    """Photos of the NIPS 2017 development set; its labels count from 1."""
    with tarfile.open(path) as tar:
        files = {Path(m.name).name: tar.extractfile(m).read() for m in tar if m.isfile()}  # type: ignore[union-attr]
    table = next(data for name, data in files.items() if name.endswith(".csv"))
    rows = csv.DictReader(io.StringIO(table.decode()))
    return [
        Photo(name, int(row["TrueLabel"]) - 1, files[name])
        for row in rows
        if (name := f"{row['ImageId']}.jpg") in files
    ]


def export(weights: Path, folder: Path) -> Bundle:
    """A bundle of DeiT-Tiny on both sides, in fp32."""
    shared = f"""
network = "vit"
weights = "{weights.resolve()}"
mean = [123.675, 116.28, 103.53]
std = [58.395, 57.12, 57.375]
files = [{{ format = "onnx", precision = "fp32" }}]
"""
    edge = '[[models]]\nrole = "edge"\nkind = "vit-attention"\n'
    spec = f"""
name = "deit-tiny"
classes = {json.dumps([str(i) for i in range(1000)])}
default_edge_model = "deit-tiny"
default_server_model = "deit-tiny-tokens"
frame = {{ size = 224, patch = 16 }}
gate = {{ eta = {ETA}, delta = {DELTA} }}
{edge}name = "deit-tiny"{shared}
{edge}name = "deit-tiny-layers"
all_layers = true{shared}
[[models]]
role = "server"
kind = "vit-tokens"
name = "deit-tiny-tokens"{shared}
"""
    (folder / "spec.toml").write_text(spec)
    if edge_export(["bundle", str(folder / "spec.toml"), "--out", str(folder / "bundle")]) != 0:
        raise SystemExit("the export failed")
    return Bundle.load(folder / "bundle")


def measure(bundle: Bundle, photos: list[Photo], weights: Path) -> dict[str, Any]:
    """All figures of this benchmark."""
    edge = edge_pass(photos, EdgeModel(bundle, "deit-tiny-layers"), ("last", "rollout", "rollout[6:12]"))
    right = int(edge.correct.sum())
    return {
        "photos": len(photos),
        **differences(bundle, photos[:COMPARED], weights),
        "top1": right / len(photos),
        "top1_interval": wilson(right, len(photos)),
        **patches(edge),
        "orderings": orderings(bundle, photos[:ORDERED], edge),
    }


def differences(bundle: Bundle, photos: list[Photo], weights: Path) -> dict[str, Any]:
    """Largest absolute differences between our ONNX file and PyTorch on real photos."""
    network = VisionTransformer(VitConfig())
    network.load_state_dict(load_file(weights), strict=True)
    network.eval()
    edge = EdgeModel(bundle)
    mean, std = np.array(edge.spec.mean, np.float32), np.array(edge.spec.std, np.float32)
    worst = {"logits": 0.0, "attention": 0.0}
    largest_logit = 0.0
    for photo in photos:
        pixels = open_frame(photo.data, bundle.frame)
        seen = edge.see(Frame(0, pixels))
        with torch.no_grad():
            wanted = network.forward_with_attention(torch.from_numpy(normalise(pixels, mean, std))[None])
        largest_logit = max(largest_logit, float(wanted[0].abs().max()))
        for name, ours, theirs in zip(worst, seen, wanted, strict=True):
            worst[name] = max(worst[name], float(np.abs(ours - theirs[0].numpy()).max()))
    return {"photos_compared": len(photos), "largest_difference": worst, "largest_logit": largest_logit}


def patches(edge: EdgePass) -> dict[str, Any]:
    """How many patches δ selects on the photos that the gate does not answer, the crossing one in or out."""
    sent = np.flatnonzero(edge.min_entropy >= ETA)
    chosen = np.array([len(select(edge.scores["last"][i], "sum", DELTA)) for i in sent])
    return {
        "share_local": 1 - len(sent) / len(edge.correct),
        "photos_sent": len(sent),
        "patches_per_sent_photo": float(chosen.mean()),
        "patches_without_the_crossing_one": float((chosen - 1).clip(1).mean()),
        "published_patches_per_sent_photo": PUBLISHED,
    }


def orderings(bundle: Bundle, photos: list[Photo], edge: EdgePass) -> list[dict[str, Any]]:
    """Accuracy against cost of each score and rule, raw patches, every photo sent."""
    ways = [("last", "sum", a) for a in SUMS] + [("rollout", "sum", a) for a in SUMS]
    ways += [("rollout[6:12]", "sum", a) for a in SUMS]
    ways += [("last", "threshold", a) for a in THRESHOLDS]
    ways += [("last", rule, a) for rule in ("top-k", "random") for a in COUNTS]
    points = []
    with open_link(bundle) as link:
        for score, rule, amount in ways:
            way = SelectedPatches(edge.scores[score], bundle.frame, score, rule, amount, "raw", 100)
            points.append(ungated(server_pass(photos, bundle.frame, way, link), bundle.frame.grid**2))
        points.append(ungated(server_pass(photos, bundle.frame, WholePhoto("png", 100), link), bundle.frame.grid**2))
    return [
        {
            "photos": p.photos,
            "selection": p.sending,
            "cost": p.cost,
            "accuracy": p.accuracy,
            "low": p.low,
            "high": p.high,
        }
        for p in points
    ]


if __name__ == "__main__":
    main()
