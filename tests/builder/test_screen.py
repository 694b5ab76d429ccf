"""What a person sees of a build where there is no terminal to draw on."""

import pytest

from offramp_builder.progress import Screen


def test_a_second_training_is_told_of_as_the_first_was(capsys: pytest.CaptureFixture[str]) -> None:
    with Screen() as screen:
        screen.step(epoch=39.0, epochs=40, loss=1.0, accuracy=0.5)
        screen.step(epoch=40.0, epochs=40, loss=1.0, accuracy=0.5)
        screen.progress("fitting branches", 1, 1)
        screen.step(epoch=0.1, epochs=2, loss=1.0, accuracy=0.5)
        screen.step(epoch=0.7, epochs=2, loss=1.0, accuracy=0.5)
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("training")]
    assert [line.split()[2] for line in told] == ["40.0/40", "0.7/2"]
