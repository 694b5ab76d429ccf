from pathlib import Path

import pytest

from offramp.bundle.store import Bundle
from offramp.errors import InputError
from offramp.measure.profile import write_profile
from offramp.units import BitsPerSecond
from offramp_evaluation.assets import DEMO_TAPE
from offramp_evaluation.sweep.scenario import read_scenario
from tests.support.plans import a_profile
from tests.support.scenarios import NoProfiles, a_scenario


def test_lists_multiply_and_what_varies_is_told(tmp_path: Path) -> None:
    scenario = a_scenario(tmp_path, "seed = [0, 1]\nload.rate = [4, 8]\ndevice.slowdown = [10, 20, 30]\n")
    assert len(scenario.cells) == 12
    assert scenario.varied == ("load.rate", "device.slowdown", "seed")
    assert len({cell.name for cell in scenario.cells}) == 12


def test_a_key_can_be_changed_from_outside(tmp_path: Path) -> None:
    scenario = a_scenario(tmp_path, "seed = [0, 1]\n", "seed=3", "load.samples=7", "load.arrivals=poisson")
    (cell,) = scenario.cells
    assert (cell.seed, cell.samples, cell.arriving.name) == (3, 7, "poisson")


def test_a_run_is_named_by_what_it_is_and_not_by_its_sweep(tmp_path: Path) -> None:
    alone, among = a_scenario(tmp_path, "seed = 1\n"), a_scenario(tmp_path, "seed = [0, 1]\n")
    assert alone.cells[0].name == among.cells[1].name != among.cells[0].name


def test_files_of_traces_are_found_by_pattern_beside_the_scenario(tmp_path: Path) -> None:
    for name in ("b.up", "a.up"):
        (tmp_path / name).write_text("10\n20\n30\n")
    scenario = a_scenario(tmp_path, 'link.trace = "*.up"\nlink.delay = "35ms"\n')
    assert [cell.link.name for cell in scenario.cells] == ["a.up", "b.up"]
    assert scenario.cells[0].link.up.delay_T.tolist() == [0.035]


def test_links_are_generated_by_seed_with_outages_cut_in(tmp_path: Path) -> None:
    text = """
    [link]
    trace = { markov = ["8mbit", "1mbit"], duration = "20s", seed = [1, 2], outages = ["5s-7s"], delay = "30ms" }
    """
    one, other = (cell.link for cell in a_scenario(tmp_path, text).cells)
    assert (one.name, other.name) == ("markov 1", "markov 2")
    assert one.up.rate_at([6.0]).tolist() == [0.0]
    assert one.digest() != other.digest()


def test_a_link_may_differ_by_direction(tmp_path: Path) -> None:
    (cell,) = a_scenario(tmp_path, 'link.trace = "2mbit/8mbit,20ms"\n').cells
    rates = [float(trace.rate_T[0]) for trace in (cell.link.up, cell.link.down)]
    assert rates == [BitsPerSecond(2e6), BitsPerSecond(8e6)]


def test_plans_multiply_from_splits_exits_and_codecs_into_rows(tmp_path: Path) -> None:
    text = 'rows.plans = ["split=end", { split = [3, 4], exit = "confidence:0.8", codec = "affine8+zstd" }]\n'
    (cell,) = a_scenario(tmp_path, text).cells
    assert cell.strategies == (
        "fixed:split=end",
        "fixed:split=3, exit=confidence:0.8, codec=affine8+zstd",
        "fixed:split=4, exit=confidence:0.8, codec=affine8+zstd",
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[laod]\n", "key of its top 'laod'; did you mean 'load'"),
        ("load.rat = 3\n", r"key of \[load\] 'rat'; did you mean 'rate'"),
        ("load = 3\n", r"load = 3 is no table; write \[load\]"),
        ("load.rate = [5, 0]\n", r"load.rate = 0: expected a number above 0"),
        ('load.rate = "5"\n', "load.rate = '5': expected a number"),
        ("load.samples = []\n", "an empty list makes no run"),
        ("seed = [1, 1]\n", "1 is there twice"),
        ('link.trace = "2mbti,20ms"\n', "there is no such file in .* and as a link"),
        ('link.trace = { markov = ["8mbit"] }\n', "two rates"),
        ('link.trace = { markov = ["8mbit", "1mbit"], sine = [] }\n', "exactly one of file, link, markov, sine"),
        ('link.trace = ["2mbit", "2mbit"]\n', "two links are called '2mbit'"),
        ('load.arrivals = "random"\n', "expected fixed, poisson, or a file"),
        ('objective = "minimise=fun"\n', "no goal 'fun'"),
        ('objective = "minimise=energy"\n', "the board has no power; give device.power"),
        ('device.radio = "lte"\n', "alone it makes no energy"),
        ('rows.strategies = ["serach"]\n', "did you mean 'search'"),
        ('rows.baselines = ["oracel"]\n', "did you mean 'oracle'"),
        ("rows.strategies = []\nrows.baselines = []\n", "make no rows"),
        ('rows.plans = ["split=99"]\n', "rows.plans = .*99"),
        ("rows.plans = [{ spilt = 3 }]\n", "did you mean 'split'"),
        ("seed = 'a\n", "is not TOML"),
    ],
)
def test_a_wrong_scenario_is_refused_with_file_key_value_and_way_out(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        read_scenario(path, [], NoProfiles())
    assert str(path) in str(caught.value)


def test_a_plan_that_is_not_on_tape_is_refused_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="rows.plans = .* no codec recorded at split 2 'float16'"):
        a_scenario(tmp_path, 'rows.plans = ["split=2, codec=float16"]\n')


def test_a_product_that_nobody_meant_is_refused(tmp_path: Path) -> None:
    many = list(range(1, 101))
    with pytest.raises(InputError, match="makes 1,000,000 runs .100 × load.rate, 100 × load.samples, 100 × seed."):
        a_scenario(tmp_path, f"seed = {many}\nload.rate = {many}\nload.samples = {many}\n")


@pytest.mark.parametrize(("change", "message"), [("load", "write KEY=VALUE"), ("seed.more=3", "no single table")])
def test_a_change_that_means_nothing_is_refused(tmp_path: Path, change: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        a_scenario(tmp_path, "seed = 1\n", change)


def test_a_network_without_its_tape_or_with_that_of_another_is_refused(tmp_path: Path, tiny_bundle: Bundle) -> None:
    alone = f'network.bundle = "{tiny_bundle.path}"\n'
    with pytest.raises(InputError, match="needs its tape"):
        a_scenario(tmp_path, alone)
    with pytest.raises(InputError, match="of another model than the bundle"):
        a_scenario(tmp_path, f'{alone}network.tape = "{DEMO_TAPE}"\n')


def test_a_profile_of_another_model_is_refused(tmp_path: Path) -> None:
    write_profile(a_profile(), tmp_path / "board.json")
    with pytest.raises(InputError, match="network.device_profile = 'board.json': it is of another model"):
        a_scenario(tmp_path, 'network.device_profile = "board.json"\n')
