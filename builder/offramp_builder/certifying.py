"""A certificate at the end of a build: what exits cost at most, by the segments that are deployed."""

from pathlib import Path

from offramp.bundle.store import open_bundle
from offramp.data import Parts
from offramp.errors import InputError
from offramp.exits.certificate import Certificate, write_certificate
from offramp.exits.certify import Promise
from offramp.exits.losses import Loss
from offramp.measure.calibration import listen
from offramp.planning.certifying import Order, certified
from offramp.runtime.onnx_backend import OnnxRuntime
from offramp_builder.progress import Screen
from offramp_builder.recipe import Recipe


def order_of(recipe: Recipe) -> Order | None:
    """What the recipe wants certified: that exits cost no more accuracy than its `drop`; None where nothing.

    Raises:
        SettingsError: Nobody can promise this.
    """
    if recipe.confidence is None:
        return None
    promise = Promise(loss=Loss.DROP, epsilon=recipe.search.drop, delta=float(f"{1 - recipe.confidence:.12g}"))
    promise.of("sample")  # what nobody can promise is said before hours of training
    return Order(promise=promise)


def attach_certificate(out: Path, parts: Parts, order: Order, screen: Screen) -> Certificate | None:
    """Write it into the bundle; where nothing keeps the promise, say why, and leave the bundle without one."""
    bundle = open_bundle(out)
    with OnnxRuntime(bundle, capacity=2 * len(bundle.manifest.cuts)) as runtime:
        evidence = listen(
            bundle, runtime, parts.calibration, lambda done, total: screen.progress("hearing exits", done, total)
        )
    try:
        certificate = certified(
            evidence, order, bundle.manifest, lambda done, total: screen.progress("certifying exits", done, total)
        )
    except InputError as error:
        screen.warn(f"no certificate: {error}")
        return None
    write_certificate(bundle, certificate)
    return certificate
