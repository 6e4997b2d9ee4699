"""``edge-runtime``: demo, run, evaluate, kernels. Errors are one line on stderr and exit code 2."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from edge_runtime import kernels
from edge_runtime.errors import ArgumentError, BundleError, EdgeRuntimeError
from edge_runtime.messages import Frame
from edge_runtime.models import Bundle, installed_runtimes
from edge_runtime.models.bundle import GateSpec

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from edge_runtime.evaluation.evaluate import Setup
    from edge_runtime.messages import Answer
    from edge_runtime.systems.edge import EdgeModel
    from edge_runtime.transport.tls import ClientTls

DEFAULT_BUNDLE = os.environ.get("EDGE_RUNTIME_BUNDLE", "zoo")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    options = _parser().parse_args(argv)
    try:
        options.command(options)
    except EdgeRuntimeError as error:
        print(f"edge-runtime: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="edge-runtime", description="A weak device and a server answer image questions together."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    demo = _command(commands, "demo", _demo, "answer a few photos with a server of its own and write an HTML page")
    demo.add_argument("--images", type=Path, nargs="*", default=[], help="photos or folders of photos")
    demo.add_argument("--out", type=Path, default=Path("demo.html"))
    _add_system_options(demo)

    run = _command(commands, "run", _run, "answer photos")
    run.add_argument("photos", type=Path, nargs="+", metavar="PHOTO")
    run.add_argument("--picture", type=Path, help="draw photo, attention and patches sent (one photo only)")
    _add_system_options(run)

    evaluate = _command(commands, "evaluate", _evaluate, "measure a system on labelled photos, beside its rivals")
    evaluate.add_argument("--system", choices=("attention",), default="attention")
    evaluate.add_argument("--data", type=Path, required=True, help="folder or tar file, <class>/<photo>")
    evaluate.add_argument("--limit", type=int, help="an even sample of so many photos")
    evaluate.add_argument("--every", type=int, default=1, help="every n-th photo (12: the zoo's held-out part)")
    evaluate.add_argument("--sweep", type=Path, metavar="DIR", help="all selections, gates and rivals: CSV and PNG")
    evaluate.add_argument("--within", type=float, default=0.005, help="--sweep: accepted loss against the server")
    evaluate.add_argument("--most-cost", type=float, default=0.32, help="--sweep: largest cost to recommend")
    _add_system_options(evaluate)

    _command(commands, "kernels", _kernels, "say which kernels run here, and how", needs_bundle=False)
    return parser


def _command(commands: Any, name: str, function: Any, text: str, *, needs_bundle: bool = True) -> Any:
    parser = commands.add_parser(name, help=text, description=text)
    parser.set_defaults(command=function)
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    if needs_bundle:
        parser.add_argument("--bundle", type=Path, default=Path(DEFAULT_BUNDLE), help="default: %(default)s")
    return parser


def _add_system_options(parser: argparse.ArgumentParser) -> None:
    gate = parser.add_argument_group("gate and selection (default: the bundle's)")
    gate.add_argument("--eta", type=float, help="answer on the device below this uncertainty")
    gate.add_argument("--delta", type=float, help="share of attention, lowest score or number of patches, by rule")
    gate.add_argument("--uncertainty", choices=("min-entropy", "shannon", "margin"))
    gate.add_argument("--rule", choices=("sum", "threshold", "top-k", "random"))
    gate.add_argument("--score", help="last, rollout or rollout[FIRST:END]")
    gate.add_argument("--patch-codec", choices=("raw", "jpeg", "webp"))
    gate.add_argument("--quality", type=int, help="of the patch codec, 1..100")
    where = parser.add_argument_group("models and link")
    where.add_argument("--edge-model", default="", help="default: the bundle's")
    where.add_argument("--server-model", default="", help="default: the bundle's")
    where.add_argument("--runtime", choices=("onnxruntime", "litert", "tflite-runtime"), help="of the edge model")
    where.add_argument("--precision", choices=("fp32", "fp16", "int8"), help="of the edge model")
    where.add_argument("--threads", type=int, default=1, help="of the edge model")
    where.add_argument("--server", metavar="HOST:PORT", help="default: a server started for the occasion")
    where.add_argument("--tls-ca", type=Path, help="--server speaks TLS: the authority that signed its certificate")
    where.add_argument("--tls-cert", type=Path, help="our own certificate, for a server that asks for one")
    where.add_argument("--tls-key", type=Path)
    where.add_argument("--link", metavar="RATE/RTT", help="shape the link, for example 5mbit/20ms")
    where.add_argument("--deadline", type=float, metavar="MS", help="per photo; later the device answers alone")


def _load(options: argparse.Namespace) -> tuple[Bundle, EdgeModel, GateSpec]:
    from edge_runtime.systems.edge import EdgeModel

    bundle = Bundle.load(options.bundle)
    gate = _gate(bundle, options)
    edge = EdgeModel(
        bundle,
        options.edge_model,
        runtime=options.runtime,
        precision=options.precision,
        threads=options.threads,
    )
    return bundle, edge, gate


def _gate(bundle: Bundle, options: argparse.Namespace) -> GateSpec:
    given = {name: getattr(options, name) for name in GateSpec.__struct_fields__ if getattr(options, name) is not None}
    if bundle.gate is None and not {"eta", "delta"} <= given.keys():
        raise BundleError(f"{bundle.folder}: has no gate; give --eta and --delta")
    try:
        return msgspec.convert(msgspec.to_builtins(bundle.gate or {}) | given, GateSpec)
    except msgspec.ValidationError as error:
        raise ArgumentError(f"gate: {error}") from error


def _open_link(options: argparse.Namespace, bundle: Bundle) -> Any:
    from edge_runtime.evaluation.link import open_link
    from edge_runtime.transport.shaper import LinkShape

    shape = LinkShape.parse(options.link) if options.link else None
    return open_link(bundle, options.server, shape, _tls(options))


def _tls(options: argparse.Namespace) -> ClientTls | None:
    from edge_runtime.transport.tls import ClientTls

    files = (options.tls_ca, options.tls_cert, options.tls_key)
    if not any(files):
        return None
    if options.server is None:
        raise ArgumentError("--tls-ca, --tls-cert, --tls-key: go with --server, which was not given")
    return ClientTls(*files)


def _deadline_s(options: argparse.Namespace) -> float:
    return float("inf") if options.deadline is None else options.deadline / 1e3


def _demo(options: argparse.Namespace) -> None:
    from edge_runtime.evaluation import demo

    bundle, edge, gate = _load(options)
    paths = demo.photo_paths(options.images)
    with _open_link(options, bundle) as link:
        shown = demo.show(bundle, edge, gate, link, paths)
    options.out.write_text(demo.page(bundle, shown))
    answers = [
        _described(bundle, one.photo, one.answer)
        | {"wire_bytes": one.wire_bytes, "server_whole_photo": bundle.classes[one.whole_label]}
        for one in shown
    ]
    if options.json:
        print(json.dumps({"page": str(options.out), "agreement": demo.agreement(shown), "answers": answers}))
        return
    for answer in answers:
        print(_line(answer))
    print(f"{demo.agreement(shown)} of {len(shown)} agree with the server's answer to the whole photo")
    print(f"the models know {len(bundle.classes)} classes only; the pictures are in {options.out}")


def _run(options: argparse.Namespace) -> None:
    from edge_runtime.evaluation import demo
    from edge_runtime.photos import open_frame
    from edge_runtime.systems.attention import Attention
    from edge_runtime.systems.driver import drive

    if options.picture and len(options.photos) > 1:
        raise ArgumentError(f"--picture: draws one photo, {len(options.photos)} were given")
    bundle, edge, gate = _load(options)
    system = Attention(edge, gate, options.server_model)
    with _open_link(options, bundle) as link:
        for number, path in enumerate(options.photos):
            pixels = open_frame(path, bundle.frame)
            frame = Frame(number, pixels, time.monotonic() + _deadline_s(options))
            answer = drive(system.infer(frame), link.call, frame.deadline_s)
            described = _described(bundle, str(path), answer)
            print(json.dumps(described) if options.json else _line(described), flush=True)
            if options.picture:
                demo.picture(edge, gate, pixels).save(options.picture)


def _described(bundle: Bundle, photo: str, answer: Answer) -> dict[str, Any]:
    return {
        "photo": photo,
        "label": bundle.classes[answer.label],
        "probability": float(answer.probabilities[answer.label]),
        "decided_by": answer.decided_by,
        "min_entropy": answer.min_entropy,
        "patches_sent": answer.patches_sent,
        "payload_bytes": answer.payload_bytes,
        "note": answer.note,
        "timings_ms": dict(answer.timings_ms),
    }


def _line(answer: dict[str, Any]) -> str:
    stages = ", ".join(f"{stage} {taken:.1f}" for stage, taken in answer["timings_ms"].items())
    note = f" ({answer['note']})" if answer["note"] else ""
    return (
        f"{answer['photo']}: {answer['label']} {answer['probability']:.0%}, decided by {answer['decided_by']}{note}, "
        f"min-entropy {answer['min_entropy']:.2f} bits, {answer['patches_sent']} patches, "
        f"{answer['payload_bytes']} bytes, ms: {stages}"
    )


def _evaluate(options: argparse.Namespace) -> None:
    from edge_runtime.evaluation.evaluate import Setup, evaluate
    from edge_runtime.evaluation.photos import labelled_photos

    bundle, edge, gate = _load(options)
    photos = labelled_photos(options.data, bundle.manifest, every=options.every, limit=options.limit)
    with _open_link(options, bundle) as link:
        setup = Setup(photos, edge, link, gate, options.server_model, _deadline_s(options))
        if options.sweep:
            _sweep(options, setup)
            return
        report = evaluate(setup)
    report = {"system": options.system, "gate": msgspec.to_builtins(gate), **report}
    if options.json:
        print(json.dumps(report))
        return
    _print_report(report)


def _sweep(options: argparse.Namespace, setup: Setup) -> None:
    from edge_runtime.evaluation.pictures import plot_plane
    from edge_runtime.evaluation.sweep import sweep, write_csv

    options.sweep.mkdir(parents=True, exist_ok=True)
    found = sweep(setup, within=options.within, most_cost=options.most_cost)
    write_csv(found.points, options.sweep / "sweep.csv")
    plot_plane(found.points, found.server_accuracy, found.edge_accuracy, options.sweep / "sweep.png")
    if options.json:
        print(json.dumps(found.as_json()))
        return
    print(f"{len(found.points)} points in {options.sweep / 'sweep.csv'}, drawn in {options.sweep / 'sweep.png'}")
    print(f"device alone {found.edge_accuracy:.2%}, server alone {found.server_accuracy:.2%}")
    if found.recommended is None:
        print(f"no selection is within {options.within:.2%} of the server at cost {options.most_cost:g} or less")
        return
    best = found.recommended
    print(
        f"recommended: {best.sending}, {best.uncertainty} η = {best.eta:g}: accuracy {best.accuracy:.2%}, "
        f"cost {best.cost:.3f}, {best.wire_bytes:.0f} bytes on the wire per photo"
    )


def _print_report(report: dict[str, Any]) -> None:
    low, high = report["accuracy_interval"]
    print(f"{report['photos']} photos, {report['system']} with {report['gate']}")
    print(f"accuracy {report['accuracy']:.2%} (95 % interval {low:.2%} to {high:.2%})")
    print(f"device alone {report['edge_accuracy']:.2%}, server alone {report['server_accuracy']:.2%}")
    print(f"answered on the device {report['share_local']:.1%}, fallbacks {report['fallbacks']}")
    print(f"{report['patches_per_sent_photo']:.1f} patches per sent photo, cost {report['cost']:.4f}")
    ratio = report["wire_bytes"] / report["jpeg_wire_bytes"]
    print(f"per photo {report['payload_bytes']:.0f} payload bytes, {report['wire_bytes']:.0f} on the wire,")
    print(f"  {ratio:.3f} × every photo as JPEG of the same quality ({report['jpeg_wire_bytes']:.0f})")
    print("latency, ms: p50 / p95")
    for stage, taken in report["latency_ms"].items():
        print(f"  {stage:15} {taken['p50']:8.2f} {taken['p95']:8.2f}")
    print("rivals: accuracy, bytes on the wire per photo, share answered on the device")
    _print_points(report["rivals"])


def _print_points(points: Iterable[dict[str, Any]]) -> None:
    for point in points:
        gate = f"gate + {point['sending']}" if point["uncertainty"] else point["sending"]
        print(f"  {gate:18} {point['accuracy']:7.2%} {point['wire_bytes']:8.0f} {point['share_local']:7.1%}")


def _kernels(options: argparse.Namespace) -> None:
    backend = kernels.backend()
    found = {
        "backend": backend.name,
        "isa": backend.isa,
        "functions": dict(backend.functions),
        "runtimes": list(installed_runtimes()),
    }
    if options.json:
        print(json.dumps(found))
        return
    print(f"kernels: {backend.name}, {backend.isa} (EDGE_RUNTIME_KERNELS=native|jit|reference chooses)")
    for name, variant in backend.functions.items():
        print(f"  {name:20} {variant}")
    print(f"model runtimes: {', '.join(installed_runtimes()) or 'none; pip install edge-runtime[onnxruntime]'}")
