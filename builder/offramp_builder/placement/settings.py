"""What a search for exits may spend, and how much is wanted."""

from dataclasses import dataclass

from offramp.errors import SettingsError

SEARCH = "search"
"""What a recipe says where branches hang that are to be searched for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSettings:
    """For `--branches search`."""

    drop: float = 0.005
    """Accuracy that exits may cost, as a share of the calibration samples."""
    most: int = 3
    """Exits at most."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.drop < 1.0:
            raise SettingsError(f"drop {self.drop:g} is no share of the samples; write --drop 0.5%")
        if self.most < 1:
            raise SettingsError(f"at most {self.most} exits leave none to search for; give --most 1 or more")
