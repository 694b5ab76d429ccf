import pytest

from offramp.errors import InputError, SettingsError
from offramp.plan import Plan
from offramp.planning.objective import parse_objective
from offramp.planning.strategies.catalog import STRATEGIES, open_strategy
from tests.support.plans import a_candidate, a_situation, some_grounds

LOCAL = a_candidate(2, codec="none", loss_high=0.0)
FINE = a_candidate(0, codec="jpeg:90", payload=5000, loss_high=0.0)
COARSE = a_candidate(0, codec="jpeg:50", payload=1000, loss_high=0.009)
RAW = a_candidate(0, codec="raw", payload=768, loss_high=0.0)
SPLIT = a_candidate(1, payload=100)
GROUNDS = some_grounds(LOCAL, FINE, COARSE, RAW, SPLIT)


def test_all_device_sends_nothing_in_any_situation() -> None:
    choice = open_strategy("all-device", GROUNDS).choose(a_situation(1000.0))
    assert choice.plan == Plan(split=2)
    assert choice.forecast is not None
    assert choice.forecast.wire_bytes == 0


def test_all_edge_takes_the_best_member_of_its_family() -> None:
    assert open_strategy("all-edge:jpeg", GROUNDS).choose(a_situation(1.0)).plan == COARSE.plan()
    strict = some_grounds(FINE, COARSE, objective=parse_objective("drop=0.5%"))
    assert open_strategy("all-edge:jpeg", strict).choose(a_situation(1.0)).plan == FINE.plan()
    assert open_strategy("all-edge", GROUNDS).choose(a_situation(1.0)).plan == RAW.plan()


def test_all_edge_sends_in_an_outage_too() -> None:
    assert open_strategy("all-edge:jpeg", GROUNDS).choose(a_situation(0.0)).plan.split == 0


def test_a_family_without_a_candidate_is_sent_all_the_same() -> None:
    choice = open_strategy("all-edge:png", GROUNDS).choose(a_situation())
    assert (choice.plan, choice.forecast) == (Plan(split=0, codec="png"), None)


def test_fixed_follows_its_plan_and_forecasts_it_where_it_is_a_candidate() -> None:
    choice = open_strategy("fixed:split=0, codec=jpeg:90", GROUNDS).choose(a_situation())
    assert choice.plan == FINE.plan()
    assert choice.forecast is not None
    assert open_strategy("fixed:split=0, codec=jpeg:13", GROUNDS).choose(a_situation()).forecast is None


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("serch", "did you mean 'search'"),
        ("search:hard", "takes nothing after its colon"),
        ("all-edge:gif", "known: raw, png"),
        ("fixed", "write one after the colon"),
        ("fixed:split=7", "is past the end"),
        ("steady:serch", "did you mean 'search'"),
    ],
)
def test_a_strategy_that_cannot_be_opened_is_explained(name: str, hint: str) -> None:
    with pytest.raises(InputError, match=hint):
        open_strategy(name, GROUNDS)


def test_an_objective_of_energy_needs_to_know_the_board_s_power() -> None:
    with pytest.raises(SettingsError, match="--power"):
        some_grounds(LOCAL, objective=parse_objective("minimise=energy"))


def test_every_baseline_is_in_the_catalogue() -> None:
    assert {"search", "steady", "all-device", "all-edge", "fixed"} <= set(STRATEGIES)
