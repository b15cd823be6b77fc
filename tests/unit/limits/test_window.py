from __future__ import annotations

from pi_model_proxy.limits import SlidingWindow


def test_no_limit_admits_everything() -> None:
    window = SlidingWindow()
    assert all(window.admit(0, 0.0) == 0.0 for _ in range(1000))


def test_the_window_slides_with_the_clock() -> None:
    window = SlidingWindow()
    assert [window.admit(2, now) for now in (0.0, 10.0)] == [0.0, 0.0]
    assert window.admit(2, 20.0) == 40.0
    assert window.admit(2, 60.0) == 0.0
    assert window.admit(2, 61.0) == 9.0


def test_refused_requests_do_not_count() -> None:
    window = SlidingWindow()
    window.admit(1, 0.0)
    for second in range(1, 60):
        assert window.admit(1, float(second)) > 0
    assert window.admit(1, 60.0) == 0.0


def test_a_lowered_limit_holds_at_once() -> None:
    window = SlidingWindow()
    for second in range(5):
        window.admit(10, float(second))
    assert window.admit(2, 5.0) == 58.0
