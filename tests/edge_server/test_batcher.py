"""The laws of the queue: nothing lost, order kept, groups never mixed, bounds held, no work that comes too late."""

import math
from collections.abc import Hashable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from offramp.errors import OverloadedError
from offramp.units import Bytes, Seconds
from offramp_edge_server.batcher import Batcher, Job

CAPACITY, MAX_BATCH = 10, 4
MAX_BYTES = Bytes(100)
COST = Seconds(0.5)  # per job in a batch


def cost(group: Hashable, size: int) -> Seconds:
    return Seconds(COST * size)


def a_batcher(*, capacity: int = CAPACITY, max_batch: int = MAX_BATCH) -> Batcher[int]:
    return Batcher(capacity=capacity, max_bytes=MAX_BYTES, max_batch=max_batch, estimate=cost)


def a_job(
    work: int = 0, *, group: Hashable = "a", owner: object = None, deadline: float = math.inf, nbytes: int = 1
) -> Job[int]:
    return Job(group=group, owner=owner, deadline=Seconds(deadline), nbytes=Bytes(nbytes), work=work)


def works(jobs: tuple[Job[int], ...]) -> list[int]:
    return [job.work for job in jobs]


class TheQueue(RuleBasedStateMachine):
    """Any order of arrivals, departures and model calls."""

    def __init__(self) -> None:
        super().__init__()
        self.batcher = a_batcher()
        self.now = Seconds(0.0)
        self.count = 0
        self.waiting: dict[int, Job[int]] = {}

    @rule(
        group=st.sampled_from("ab"),
        owner=st.sampled_from("xyz"),
        budget=st.sampled_from([0.1, 0.6, 1.2, 3.0, math.inf]),
    )
    def add(self, group: str, owner: str, budget: float) -> None:
        job = a_job(self.count, group=group, owner=owner, deadline=self.now + budget)
        if len(self.waiting) == CAPACITY:
            with pytest.raises(OverloadedError):
                self.batcher.add(job)
            return
        self.batcher.add(job)
        self.waiting[self.count] = job
        self.count += 1

    @rule(passes=st.sampled_from([0.0, 0.3, 1.0]))
    def take(self, passes: float) -> None:
        self.now = Seconds(self.now + passes)
        taken = self.batcher.take(self.now)
        before = dict(self.waiting)
        for job in (*taken.batch, *taken.late):
            assert self.waiting.pop(job.work) is job, "a job leaves once"
        assert {job.work for job in before.values() if self.now + COST > job.deadline} == set(works(taken.late))
        if not taken.batch:
            assert not self.waiting, "nothing is left waiting beside an idle model"
            return
        done = Seconds(self.now + cost(None, len(taken.batch)))
        assert all(done <= job.deadline for job in taken.batch), "the batch keeps every budget in it"
        assert len(taken.batch) <= MAX_BATCH
        assert len({job.group for job in taken.batch}) == 1
        in_time = [work for work in before if work not in works(taken.late)]
        assert taken.batch[0].work == in_time[0], "the oldest goes first"
        group = [work for work in in_time if before[work].group == taken.batch[0].group]
        assert works(taken.batch) == group[: len(taken.batch)], "no job overtakes an older one of its group"

    @rule(owner=st.sampled_from("xyz"))
    def leave(self, owner: str) -> None:
        removed = self.batcher.remove(owner)
        assert works(removed) == [work for work, job in self.waiting.items() if job.owner == owner]
        for job in removed:
            del self.waiting[job.work]

    @invariant()
    def holds_what_waits(self) -> None:
        assert len(self.batcher) == len(self.waiting)


test_the_laws_of_the_queue = TheQueue.TestCase


def test_a_full_queue_refuses_and_says_how_long_it_is() -> None:
    batcher = a_batcher(capacity=1)
    batcher.add(a_job())
    with pytest.raises(OverloadedError, match="1 requests"):
        batcher.add(a_job())


def test_the_queue_is_bounded_in_bytes_and_has_room_again_for_what_left() -> None:
    batcher = a_batcher()
    batcher.add(a_job(nbytes=60, owner="x"))
    with pytest.raises(OverloadedError, match="100 B of payloads"):
        batcher.add(a_job(nbytes=41))
    batcher.remove("x")
    for _ in range(2):
        batcher.add(a_job(nbytes=60))
        batcher.add(a_job(nbytes=40))
        batcher.take(Seconds(0.0))


def test_a_payload_larger_than_the_bound_still_passes_alone() -> None:
    batcher = a_batcher()
    batcher.add(a_job(nbytes=500))
    assert len(batcher.take(Seconds(0.0)).batch) == 1


def test_the_oldest_job_chooses_the_group_and_later_ones_of_it_join() -> None:
    batcher = a_batcher()
    for work, group in enumerate("abaab"):
        batcher.add(a_job(work, group=group))
    assert works(batcher.take(Seconds(0.0)).batch) == [0, 2, 3]
    assert works(batcher.take(Seconds(0.0)).batch) == [1, 4]


def test_a_batch_grows_only_as_far_as_its_tightest_budget_allows() -> None:
    batcher = a_batcher()
    for deadline in (math.inf, 1.2, math.inf, math.inf):
        batcher.add(a_job(deadline=deadline))
    assert len(batcher.take(Seconds(0.0)).batch) == 2


def test_a_job_whose_budget_ran_out_is_late_even_behind_another_group() -> None:
    batcher = a_batcher()
    batcher.add(a_job(0, group="a"))
    batcher.add(a_job(1, group="b", deadline=0.4))
    taken = batcher.take(Seconds(0.0))
    assert (works(taken.batch), works(taken.late)) == ([0], [1])


@given(st.integers(1, 20), st.integers(1, 8))
def test_an_idle_model_takes_all_that_fits(waiting: int, max_batch: int) -> None:
    batcher = a_batcher(capacity=20, max_batch=max_batch)
    for work in range(waiting):
        batcher.add(a_job(work))
    assert works(batcher.take(Seconds(0.0)).batch) == list(range(min(waiting, max_batch)))
