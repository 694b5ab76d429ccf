import numpy as np
import pytest

from offramp.records import Answer, Answered, EdgeTimings, Result, Revision
from offramp.units import Seconds


def test_a_later_epoch_beats_any_counter() -> None:
    assert Revision(1, 999) < Revision(2, 0) < Revision(2, 1)


def test_an_answer_names_its_best_class() -> None:
    assert Answer(logits=np.array([0.1, 2.0, -1.0], np.float32)).label == 1


def test_an_answer_of_the_top_k_names_a_class_of_the_network() -> None:
    answer = Answer(logits=np.array([2.0, 0.5], np.float32), classes=np.array([7, 3]))
    assert answer.label == 7


def test_the_time_at_the_edge_is_the_sum_of_its_parts() -> None:
    assert EdgeTimings(queue=Seconds(1), decode=Seconds(2), compute=Seconds(3), batch=4).total == 6


@pytest.mark.parametrize("answered", list(Answered))
def test_only_a_rejected_result_has_no_label(answered: Answered) -> None:
    label = None if answered is Answered.REJECTED else 3
    assert Result(stream="s", index=0, answered=answered, label=label).label == label
    with pytest.raises(ValueError, match="only a rejected one has none"):
        Result(stream="s", index=0, answered=answered, label=3 if label is None else None)
