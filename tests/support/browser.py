"""Debian's Chromium for tests, without access to any host but this machine."""

import os
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tests.support.debian import command_of

# To learn whether there is IPv6, it asks the kernel for a route to a known address. It sends nothing there.
_QUIET = ["--disable-background-networking", "--disable-component-update"]
# Drawing in 3-D on the CPU. On a busy machine that may take longer than the browser waits before it gives up.
WEBGL = ("--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--disable-gpu-watchdog")

AFTER_FRAMES = """count => new Promise(resolve => {
  const next = left => left ? requestAnimationFrame(() => next(left - 1)) : resolve();
  next(count);
})"""


def chromium() -> list[str]:
    """Return the command of the installed browser, or of its part without windows, which needs fewer packages."""
    installed = shutil.which("chromium")
    shell = "chromium-headless-shell"
    return [installed] if installed else command_of(shell, program=f"usr/lib/chromium/{shell}")


@contextmanager
def launched(folder: Path, *flags: str, hosts: str = "MAP * ~NOTFOUND") -> Iterator[Browser]:
    """Start the browser, whose files go into `folder`. `hosts` says which it finds."""
    program = folder / "chromium"
    program.write_text(f'#!/bin/sh\nexec {shlex.join(chromium())} "$@"\n')
    program.chmod(0o700)
    with sync_playwright() as playwright:
        home = os.environ | {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "XDG_CACHE_HOME": str(folder)}
        arguments = [*_QUIET, f"--host-resolver-rules={hosts}", *flags]
        browser = playwright.chromium.launch(executable_path=program, args=arguments, env=home)
        yield browser
        browser.close()
