"""What lies beside the graphs of a bundle and names its model, for the model that it became with another head."""

from dataclasses import replace

from offramp.bundle.shelf import CANDIDATES
from offramp.bundle.store import Bundle, open_bundle
from offramp.data import DataSet
from offramp.exits.certificate import read_certificate, write_certificate
from offramp_builder.building import attach_plans
from offramp_builder.int8.choosing import Progress


def attached_anew(before: Bundle, after: Bundle, calibration: DataSet, tell: Progress) -> Bundle:
    """Plans are judged again, those with the new head among them.

    A certificate goes on holding: it is of the bundle's own head, which is what it was.
    """
    certificate = read_certificate(before)
    if certificate is not None:
        write_certificate(after, replace(certificate, model_digest=after.manifest.model_digest))
    if CANDIDATES in before.manifest.files:
        attach_plans(after.path, calibration, tell)
    return open_bundle(after.path)
