import numpy as np
import pytest

from offramp.errors import InputError
from offramp.plan import Plan
from offramp.planning.strategies.splitee import WORST, SplitEE, parse_tuning
from offramp.planning.strategies.splitee_s import SplitEES
from offramp.records import Answered, Result, Seconds, Timings
from tests.support.grounds import HEAD, grounds_of_four_stages
from tests.support.manifests import a_manifest
from tests.support.plans import a_situation
from tests.support.worlds import World

GROUNDS = grounds_of_four_stages()
SAMPLES = 500
SLOW_LINK, FAST_LINK = 0.3, 0.03
SHUFFLES = range(3)


def a_world(away: float = FAST_LINK) -> World:
    """Deeper branches are surer, the whole network is surest."""
    draw = np.random.default_rng(7)
    first = draw.uniform(0.2, 1.0, SAMPLES)
    second = np.minimum(1.0, first + draw.uniform(0.0, 0.3, SAMPLES))
    final = np.minimum(1.0, 0.85 + draw.uniform(0.0, 0.15, SAMPLES))
    return World(GROUNDS, np.stack([first, second], axis=1), final, away=away)


def reward(result: Result) -> float:
    """As the paper defines it, with the whole network on the device as the unit of cost."""
    timings = result.timings
    return max(WORST, result.confidence - (timings.head + timings.encode + timings.away) / HEAD[-1])


def worths(world: World, plans: set[Plan]) -> dict[Plan, float]:
    """Mean reward of each plan over all samples: what nobody knows beforehand."""
    return {plan: float(np.mean([reward(one) for one in world.run(plan, 0, SAMPLES)])) for plan in plans}


def regrets(strategy: SplitEE, world: World, samples: int) -> np.ndarray:
    """Cumulative, against the best fixed arm."""
    history = world.play(strategy, samples)
    worth = worths(world, {plan for plan, _ in history})  # every arm is played once
    return np.cumsum([max(worth.values()) - worth[plan] for plan, _ in history])


def test_arms_are_the_splits_with_a_branch_at_or_before_them_each_asking_its_deepest() -> None:
    plans = {str(plan) for plan, _ in a_world().play(SplitEE(GROUNDS), 40)}
    assert plans == {
        "split=1, exit=confidence:0.85@1, codec=affine8+zstd",
        "split=2, exit=confidence:0.85@2, codec=affine8+zstd",
        "split=3, exit=confidence:0.85@2, codec=affine8+zstd",
        "split=4, exit=none, codec=none",
    }


def test_side_information_takes_every_branch_on_the_way() -> None:
    rules = {str(plan.exit) for plan, _ in a_world().play(SplitEES(GROUNDS), 200)}
    assert rules == {"confidence:0.85@1", "confidence:0.85@1/0.85@2"}


def test_without_branches_the_whole_network_is_the_only_arm() -> None:
    assert SplitEE(grounds_of_four_stages(manifest=a_manifest(branches=()))).choose(a_situation()).plan == Plan(split=4)


@pytest.mark.parametrize("kind", [SplitEE, SplitEES])
@pytest.mark.parametrize("seed", SHUFFLES)
def test_regret_against_the_best_fixed_arm_grows_ever_slower(kind: type[SplitEE], seed: int) -> None:
    regret = regrets(kind(GROUNDS), a_world().shuffled(seed), 2_000)
    assert regret[-1] - regret[999] < 0.6 * regret[999]


def test_side_information_converges_faster() -> None:
    plain, side = (
        [regrets(kind(GROUNDS), a_world().shuffled(seed), 1_000)[-1] for seed in SHUFFLES]
        for kind in (SplitEE, SplitEES)
    )
    assert max(side) < min(plain)


def best_arm_played(tuning: str, seed: int) -> float:
    """Share of it in the last 600 of 1,000 samples after a link has become ten times as fast, 2,000 samples on."""
    strategy, world = SplitEE(GROUNDS, tuning), a_world(SLOW_LINK).shuffled(seed)
    before = world.play(strategy, 2_000)
    world.away = FAST_LINK
    worth = worths(world, {plan for plan, _ in before})
    best = max(worth, key=worth.__getitem__)
    after = world.play(strategy, 1_000, first=2_000)
    return float(np.mean([plan == best for plan, _ in after[400:]]))


@pytest.mark.parametrize("seed", SHUFFLES)
def test_with_a_window_the_best_arm_is_found_again_after_a_step_in_cost(seed: int) -> None:
    assert best_arm_played("window=200", seed) > 0.4  # of four arms, and the others are explored for ever


@pytest.mark.parametrize("seed", SHUFFLES)
def test_without_a_window_it_is_not(seed: int) -> None:
    assert best_arm_played("", seed) < 0.1


def test_what_earns_less_than_the_worst_counts_as_the_worst() -> None:
    strategy = SplitEE(GROUNDS)
    strategy.choose(a_situation())
    rejected = Result(stream="a", index=0, answered=Answered.REJECTED, reason="the queue is full")
    slow = Result(
        stream="a",
        index=1,
        answered=Answered.DEGRADED,
        label=0,
        confidence=0.5,
        exit=1,
        timings=Timings(away=Seconds(60.0)),
    )
    strategy.learn([rejected, slow])
    assert strategy.earned[4] == WORST


def test_a_sample_that_left_tells_the_same_about_shallower_arms() -> None:
    """It left at the first branch: whoever was played, all arms would have let it leave there."""
    strategy = SplitEES(GROUNDS)
    plan = strategy.choose(a_situation()).plan
    sure = World(GROUNDS, np.array([[0.9, 0.95]]), np.array([0.99]))
    strategy.learn(sure.run(plan, 0, 1))
    assert list(strategy.earned.values()) == pytest.approx([0.9 - (HEAD[1] + 0.001) / HEAD[-1]] * 4)


def test_an_unsure_sample_would_have_been_sent_by_shallower_arms() -> None:
    strategy = SplitEES(GROUNDS, "mu=0.1")
    situation = a_situation()
    plan = strategy.choose(situation).plan
    unsure = World(GROUNDS, np.array([[0.3, 0.4]]), np.array([0.99]))
    strategy.learn(unsure.run(plan, 0, 1))
    transmit = 8 * (4_000 + 56) / situation.bandwidth
    seconds = HEAD[1] + 0.001 + 0.0005 + transmit + situation.round_trip + 0.0005 + (HEAD[4] - HEAD[1]) / 10
    assert strategy.earned[1] == pytest.approx(0.99 - 0.1 * seconds / HEAD[-1], abs=1e-4)


def test_drift_raises_the_threshold() -> None:
    strategy = SplitEE(GROUNDS, "alpha=0.5")
    for _ in range(2):  # the whole network comes first, and asks nobody
        plan = strategy.choose(a_situation(caution=6)).plan
        strategy.learn(a_world().run(plan, 0, 1))
    assert str(plan.exit) == "confidence:0.9@2"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("alfa=0.9", "did you mean 'alpha'"),
        ("alpha=high", "no number"),
        ("alpha=2", "between 0 and 1"),
        ("mu=-1", "0 or more"),
        ("window=1", "at least 2"),
        ("alpha=0.5, alpha=0.6", "twice"),
    ],
)
def test_a_tuning_that_means_nothing_is_refused_with_the_way_out(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        SplitEE(GROUNDS, text)


def test_a_tuning_keeps_what_it_does_not_name() -> None:
    tuning = parse_tuning("alpha=0.9, window=200")
    assert (tuning.alpha, tuning.window, tuning.mu) == (0.9, 200, 1.0)
