"""What other heads a bundle has, and how often they say what its own does."""

from offramp.bundle.manifest import Manifest
from offramp.inspect.table import format_table


def heads_page(manifest: Manifest) -> str:
    """A table for each head: the share of samples that each branch, and the end, labels as the bundle's own does."""
    return "\n\n".join(
        f"head {head.name}, on {head.samples:,} samples that nothing was chosen by\n"
        + "\n".join(f"  {name}: {text}" for name, text in head.how.items())
        + "\n\n"
        + format_table(
            ("cut", "name", "labels as float32 does"),
            [(str(cut), manifest.cuts[cut].name, f"{share:.2%}") for cut, share in head.agreement],
            right=(0, 2),
        )
        for head in manifest.heads
    )
