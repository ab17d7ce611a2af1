"""Commands are imported when they are called."""

import pytest

import trainer.cli


def test_ctrl_c_while_a_command_is_loaded_ends_it_without_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(trainer.cli, "load", interrupted)
    with pytest.raises(SystemExit) as ended:
        _ = trainer.cli.gfp_train
    assert ended.value.code == 130
