"""`exit=certified` in a plan: the rule that the bundle's certificate names."""

import re

from offramp.bundle.store import Bundle
from offramp.errors import PlanError
from offramp.exits.certificate import read_certificate

WORD = re.compile(r"\bexit\s*=\s*certified\b")


def with_certificate(text: str, bundle: Bundle) -> str:
    """The plan text with the certified rule in the word's place; any other text as it is.

    Raises:
        PlanError: The bundle has no certificate.
        BundleError: Its certificate is malformed, or of another model.
    """
    if not WORD.search(text):
        return text
    certificate = read_certificate(bundle)
    if certificate is None:
        raise PlanError(
            f"exit=certified, but {bundle.manifest.name!r} has no certificate; make one: "
            f"offramp bundle certify {bundle.path} --data KIND:PATH --drop 1%"
        )
    return WORD.sub(f"exit={certificate.rule}", text)
