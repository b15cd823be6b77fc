from __future__ import annotations

import os
from pathlib import Path

import pytest

from pi_model_proxy.config import CHECK_INTERVAL_S, ConfigError, Environment, Inputs, SettingsWatcher

KEY = "a-key-of-twenty-chars"


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s

    def tick(self) -> None:
        self.now_s += CHECK_INTERVAL_S


class House:
    """A home folder, a clock and a watcher over them."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.file = home / ".pi" / "model-proxy.json"
        self.file.parent.mkdir()
        self.clock = Clock()
        self._age_ns = 1_700_000_000_000_000_000

    def write(self, text: str, *, name: str = "model-proxy.json") -> None:
        """Write as an editor does, with a time stamp of its own however fast the test is."""
        path = self.file.with_name(name)
        path.write_text(text)
        path.chmod(0o600)
        self._age_ns += 1_000_000_000
        os.utime(path, ns=(self._age_ns, self._age_ns))

    def watcher(self, **flags: str | bool) -> SettingsWatcher:
        environment = Environment({}, home=self.home, directory=self.home)
        return SettingsWatcher(Inputs(environment=environment, flags=flags), monotonic_s=self.clock)

    def look(self, watcher: SettingsWatcher, *, times: int = 1) -> bool:
        changed = False
        for _ in range(times):
            self.clock.tick()
            changed = watcher.refresh() or changed
        return changed


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def said(watcher: SettingsWatcher) -> str:
    return "\n".join(f"{p.severity}: {p.where}: {p.what}; {p.fix}" for p in watcher.problems)


def test_a_change_counts_at_the_next_look(house: House) -> None:
    house.write('{"rateLimit": 1}')
    watcher = house.watcher()
    house.write('{"rateLimit": 2}')
    assert house.look(watcher)
    assert watcher.current.rate_limit == 2
    assert watcher.problems == ()


def test_between_two_looks_nothing_is_read(house: House) -> None:
    house.write('{"rateLimit": 1}')
    watcher = house.watcher()
    house.look(watcher)
    house.write('{"rateLimit": 2}')
    house.clock.now_s += CHECK_INTERVAL_S / 2
    assert not watcher.refresh()
    assert watcher.current.rate_limit == 1
    house.clock.now_s += CHECK_INTERVAL_S / 2
    assert watcher.refresh()


def test_a_change_made_while_the_file_was_first_read_is_not_missed(house: House) -> None:
    house.write('{"rateLimit": 1}')
    watcher = house.watcher()
    # As if the bytes had been read before this write and the time stamps after it.
    house.write('{"rateLimit": 2}')
    assert house.look(watcher)
    assert watcher.current.rate_limit == 2


def test_an_unchanged_file_is_not_read_again(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.write('{"rateLimit": 1}')
    watcher = house.watcher()
    assert not house.look(watcher)
    first = watcher.current
    monkeypatch.setattr("pi_model_proxy.config.watch.load", lambda _: pytest.fail("it was read again"))
    assert not house.look(watcher, times=3)
    assert watcher.current is first


def test_a_file_that_appears_counts(house: House) -> None:
    watcher = house.watcher()
    house.look(watcher)
    house.write('{"strict": true}')
    assert house.look(watcher)
    assert watcher.current.strict


def test_a_broken_file_changes_nothing_and_is_named(house: House) -> None:
    house.write('{"rateLimit": 1}')
    watcher = house.watcher()
    house.look(watcher)
    house.write('{"rateLimit": "many"}')
    assert house.look(watcher, times=2)
    assert watcher.current.rate_limit == 1
    assert "model-proxy.json:1:15: rateLimit must be a whole number" in said(watcher)
    assert "stays in force" in said(watcher)


def test_a_broken_file_is_complained_about_once(house: House) -> None:
    house.write("{}")
    watcher = house.watcher()
    house.write("{")
    assert house.look(watcher, times=2)
    assert not house.look(watcher, times=4)


def test_a_half_written_file_is_not_complained_about(house: House) -> None:
    house.write('{"rateLimit": 1}')
    watcher = house.watcher()
    house.look(watcher)
    house.write('{"rateLi')
    assert not house.look(watcher)
    house.write('{"rateLimit": 2}')
    assert house.look(watcher)
    assert watcher.current.rate_limit == 2
    assert watcher.problems == ()


def test_a_mended_file_clears_the_complaint(house: House) -> None:
    house.write('{"rateLimit": 1}')
    watcher = house.watcher()
    house.write("{")
    house.look(watcher, times=2)
    assert watcher.problems
    house.write('{"rateLimit": 1}')
    assert house.look(watcher)
    assert watcher.problems == ()


def test_deleting_the_file_does_not_take_the_key_away(house: House) -> None:
    house.write(f'{{"apiKey": "{KEY}"}}')
    watcher = house.watcher()
    house.look(watcher)
    house.file.unlink()
    assert house.look(watcher, times=2)
    assert watcher.current.api_key is not None
    assert watcher.current.api_key.reveal() == KEY
    assert "the file is gone" in said(watcher)


def test_a_file_replaced_by_deleting_and_writing_is_simply_read(house: House) -> None:
    house.write('{"rateLimit": 1}')
    watcher = house.watcher()
    house.look(watcher)
    house.file.unlink()
    assert not house.look(watcher)
    house.write('{"rateLimit": 2}')
    assert house.look(watcher)
    assert (watcher.current.rate_limit, watcher.problems) == (2, ())


def test_what_needs_a_restart_stays_and_is_named(house: House) -> None:
    house.write('{"port": 1111, "rateLimit": 1}')
    watcher = house.watcher()
    house.write('{"port": 2222, "rateLimit": 2}')
    assert house.look(watcher)
    assert (watcher.current.port, watcher.current.rate_limit) == (1111, 2)
    assert "note:" in said(watcher)
    assert "port is now 2222, but 1111 stays in force; restart to change it" in said(watcher)
    house.write('{"port": 1111, "rateLimit": 2}')
    house.look(watcher)
    assert watcher.problems == ()


def test_a_flag_is_not_overtaken_by_the_file(house: House) -> None:
    house.write("{}")
    watcher = house.watcher(rate_limit="5")
    house.write('{"rateLimit": 1}')
    house.look(watcher)
    assert watcher.current.rate_limit == 5


def test_the_key_cannot_go_while_the_address_that_needs_it_stays(house: House) -> None:
    house.write(f'{{"host": "0.0.0.0", "apiKey": "{KEY}", "allowedHosts": ["gateway.lan"]}}')
    watcher = house.watcher()
    house.write('{"host": "127.0.0.1"}')
    house.look(watcher, times=2)
    assert watcher.current.api_key is not None
    assert "without a key" in said(watcher)


def test_a_new_key_in_the_key_file_counts(house: House) -> None:
    house.write("first-key-of-the-house\n", name="key")
    house.write('{"apiKeyFile": "key"}')
    watcher = house.watcher()
    house.look(watcher)
    house.write("other-key-of-the-house\n", name="key")
    assert house.look(watcher)
    assert watcher.current.api_key is not None
    assert watcher.current.api_key.reveal() == "other-key-of-the-house"


def test_a_key_file_that_goes_leaves_the_key(house: House) -> None:
    house.write("first-key-of-the-house\n", name="key")
    watcher = house.watcher(api_key_file="~/.pi/key")
    house.look(watcher)
    (house.home / ".pi" / "key").unlink()
    house.look(watcher, times=2)
    assert watcher.current.api_key is not None
    assert "the key file" in said(watcher)


def test_settings_that_cannot_be_used_stop_the_start(house: House) -> None:
    house.write('{"port": -1}')
    with pytest.raises(ConfigError, match="port must be"):
        house.watcher()


def test_the_origins_in_force_belong_to_the_values_in_force(house: House) -> None:
    house.write('{"port": 1111}')
    watcher = house.watcher()
    house.write('{"strict": true}')
    house.look(watcher)
    origins = watcher.configuration.origins
    assert (watcher.current.port, origins["port"].source) == (1111, "file")
    assert origins["strict"].where.endswith("model-proxy.json:1:2")


def test_a_warning_beside_an_error_keeps_its_own_words(house: House) -> None:
    house.write("{}")
    watcher = house.watcher()
    house.write('{"prot": 1, "port": "x"}')
    house.look(watcher, times=2)
    assert [problem.severity for problem in watcher.problems] == ["error", "warning"]
    assert watcher.problems[1].fix == 'did you mean "port"?'
